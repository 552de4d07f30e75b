export function two(n: number): number {
  return n * 2;
}
