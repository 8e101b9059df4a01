import { humanDuration } from '../../apimachinery/duration.ts';
import type { KubernetesObject } from '../../apimachinery/resource.ts';
import { parseTime } from '../../apimachinery/time.ts';
import type {
  CustomResourceColumnDefinition,
  CustomResourceDefinitionVersion,
} from '../../apimachinery/types/apiextensions-v1.ts';
import type { Column } from '../resources/resource-row.ts';
import { nameColumn } from '../table/column.ts';
import { compileJsonPath } from './json-path.ts';

const ageDefinition: CustomResourceColumnDefinition = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
};

type Cell = string | number | boolean | null;

function cellOf(type: string, value: unknown, now: Date): Cell {
  if (type === 'string') return typeof value === 'string' ? value : JSON.stringify(value);
  if (type === 'date') {
    const millis = typeof value === 'string' ? parseTime(value) : undefined;
    if (millis !== undefined) return humanDuration(now.getTime() - millis);
    return typeof value === 'string' ? '<invalid>' : null;
  }
  if (type === 'boolean') return typeof value === 'boolean' ? value : null;
  if (typeof value !== 'number') return null;
  return type === 'integer' ? Math.trunc(value) : value;
}

function columnOf(definition: CustomResourceColumnDefinition): Column<KubernetesObject> {
  const find = compileJsonPath(definition.jsonPath);
  const { name, type, format, priority = 0, description, jsonPath } = definition;
  return {
    name,
    type: type as Column<KubernetesObject>['type'],
    priority,
    ...(format === undefined ? {} : { format }),
    description: description || `Custom resource definition column (in JSONPath format): ${jsonPath}`,
    cell: (object, now) => {
      const [value] = find(object);
      return value === undefined || value === null ? null : cellOf(type, value, now);
    },
  };
}

/** Name, and what the definition adds; Age when it adds nothing. */
export function customColumns(version: CustomResourceDefinitionVersion): readonly Column<KubernetesObject>[] {
  const added = version.additionalPrinterColumns ?? [];
  return [nameColumn, ...(added.length === 0 ? [ageDefinition] : added).map(columnOf)];
}
