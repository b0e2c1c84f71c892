/** Compiles the programs of the benches and opens fresh engines for them. */
