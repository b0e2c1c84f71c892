import { leaseSuite } from '../suites/lease-suite.ts';
import { storeSuite } from '../suites/store-suite.ts';
import { databaseOrSkip } from './test-database.ts';

storeSuite('mariadb', async (t) => {
  const database = await databaseOrSkip(t);
  return database && { open: () => database.open(), close: async () => undefined };
});

leaseSuite('mariadb', async (t) => {
  const database = await databaseOrSkip(t);
  return (
    database && {
      open: () => database.open(),
      advance: (ms) => database.advance(ms),
      close: async () => undefined,
    }
  );
});
