import { existsSync, readFileSync } from 'node:fs';

/** What there is to say of a definition: under '' of itself, under each name of that field. */
export type Descriptions = Readonly<Record<string, Readonly<Record<string, string>>>>;

const file = new URL('./descriptions.generated.json', import.meta.url);

/**
 * The texts that `scripts/generate-descriptions.mjs` wrote, read anew for each document: they are large and wanted
 * rarely. Empty when the file was never generated.
 */
export function readDescriptions(): Descriptions {
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Descriptions) : {};
}
