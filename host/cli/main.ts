#!/usr/bin/env node
/** The command `caucus`: reads argv, runs one command, sets the exit code. */
import { runCli } from './cli.ts';

process.exitCode = await runCli(process.argv.slice(2));
