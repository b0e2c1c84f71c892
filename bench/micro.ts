/** The small things that every request does, on benny: values and their bytes, JSON, compiling, a point query. */
import benny from 'benny';
import { compileQueryFor, openEngine, planOf } from './core.ts';
import { generate, toBlock } from './generate.ts';
import type { Entry } from './report.ts';
import { programText } from './workloads.ts';
