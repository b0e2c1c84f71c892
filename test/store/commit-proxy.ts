/**
 * A TCP proxy in front of MariaDB that understands as much of the protocol as it takes to cut a
 * connection at a COMMIT.
 */
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

/**
 * `answer`: the server gets the COMMIT, its answer is lost. `request`: the COMMIT is lost.
 * `late`: the client is cut off, and the server gets the COMMIT only after the next transaction has
 * read, when it wants to write.
 */
export type CommitFault = 'answer' | 'request' | 'late';

const HEADER_BYTES = 4;
const COM_QUERY = 3;
/** Before it writes, a transaction has this statement prepared. */
const WRITE_BEGINS = 'UPDATE caucus_edits';

export class CommitProxy {
  /** Asked at each COMMIT; undefined lets it pass. */
  fault: (() => CommitFault | undefined) | undefined;
  /** How many were done, by kind. */
  readonly done: Record<CommitFault, number> = { answer: 0, request: 0, late: 0 };
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #held: (() => void)[] = [];

  private constructor(target: { host: string; port: number }) {
    this.#server = createServer((client) => this.#serve(client, connect(target)));
  }

  static async start(target: { host: string; port: number }): Promise<CommitProxy> {
    const proxy = new CommitProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(client: Socket, server: Socket): void {
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => undefined);
      socket.on('close', () => this.#sockets.delete(socket));
    }
    let isCut = false;
    client.on('close', () => {
      if (!isCut) server.destroy();
    });
    server.on('close', () => client.destroy());
    server.on('data', (piece) => {
      if (!isCut) client.write(piece);
    });
    const cut = (): void => {
      isCut = true;
      client.destroy();
    };
    onPackets(client, (packet) => {
      if (isCut) return;
      const statement = packet[HEADER_BYTES] === COM_QUERY ? packet.toString('latin1', 5) : '';
      if (packet.includes(WRITE_BEGINS)) for (const send of this.#held.splice(0)) send();
      const fault = statement === 'COMMIT' ? this.fault?.() : undefined;
      if (fault === undefined) {
        server.write(packet);
        return;
      }
      this.done[fault]++;
      cut();
      if (fault === 'request') server.destroy();
      // The server ends it once it has answered.
      else if (fault === 'answer') server.end(packet);
      else this.#held.push(() => server.end(packet));
    });
  }
}

/** Calls `take` with each whole packet, its header included. */
function onPackets(socket: Socket, take: (packet: Buffer) => void): void {
  let rest = Buffer.alloc(0);
  socket.on('data', (piece: Buffer) => {
    rest = Buffer.concat([rest, piece]);
    while (rest.length >= HEADER_BYTES) {
      const end = HEADER_BYTES + rest.readUIntLE(0, 3);
      if (rest.length < end) break;
      take(rest.subarray(0, end));
      rest = rest.subarray(end);
    }
  });
}
