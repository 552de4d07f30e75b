import { two } from "./two";

export function one(n: number): number {
  return two(n) + 1;
}
