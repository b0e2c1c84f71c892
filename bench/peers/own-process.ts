/** The process of `own.ts`. */
import { answer, type Order } from './own.ts';

console.log(JSON.stringify(await answer(JSON.parse(process.argv[2] ?? '') as Order)));
