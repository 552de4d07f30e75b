import { one } from "./one";

export const result: number = one(3);
