/** How a command ends; docs/CLI.md lists them. */
export const EXIT_OK = 0;
/** Something a person gave is wrong: a policy, a row, a file, a query; a test failed. */
export const EXIT_BAD_INPUT = 1;
/** The command line itself is wrong; nothing was read. */
export const EXIT_BAD_USAGE = 2;
/** The server cannot be reached or cannot answer now; the same command may work later. */
export const EXIT_UNAVAILABLE = 3;
/** A defect of Caucus. */
export const EXIT_DEFECT = 70;
/** Stopped by SIGINT, as shells count it. */
export const EXIT_INTERRUPTED = 130;
