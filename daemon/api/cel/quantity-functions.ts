import type { Environment } from '@marcbachmann/cel-js';
import { parseQuantity, Quantity, tryParseQuantity } from '../../apimachinery/quantity.ts';

const type = 'kubernetes.Quantity';
const isInteger = (quantity: Quantity) => Quantity.of(quantity.value()).equals(quantity);

/** The quantity library of Kubernetes. */
export function registerQuantityFunctions(environment: Environment): void {
  environment
    .registerType(type, { ctor: Quantity, fields: {} })
    .registerFunction(`quantity(string): ${type}`, (text: string) => parseQuantity(text))
    .registerFunction('isQuantity(string): bool', (text: string) => tryParseQuantity(text) !== undefined)
    .registerFunction(`${type}.sign(): int`, (quantity: Quantity) => BigInt(quantity.sign))
    .registerFunction(`${type}.isInteger(): bool`, isInteger)
    .registerFunction(`${type}.asInteger(): int`, (quantity: Quantity) => {
      if (!isInteger(quantity)) throw new Error('cannot convert value to integer');
      return quantity.value();
    })
    .registerFunction(`${type}.asApproximateFloat(): double`, (quantity: Quantity) => quantity.toNumber())
    .registerFunction(`${type}.add(${type}): ${type}`, (a: Quantity, b: Quantity) => a.add(b))
    .registerFunction(`${type}.add(int): ${type}`, (a: Quantity, b: bigint) => a.add(Quantity.of(b)))
    .registerFunction(`${type}.sub(${type}): ${type}`, (a: Quantity, b: Quantity) => a.sub(b))
    .registerFunction(`${type}.sub(int): ${type}`, (a: Quantity, b: bigint) => a.sub(Quantity.of(b)))
    .registerFunction(`${type}.isGreaterThan(${type}): bool`, (a: Quantity, b: Quantity) => a.compare(b) > 0)
    .registerFunction(`${type}.isLessThan(${type}): bool`, (a: Quantity, b: Quantity) => a.compare(b) < 0)
    .registerFunction(`${type}.compareTo(${type}): int`, (a: Quantity, b: Quantity) => BigInt(a.compare(b)));
}
