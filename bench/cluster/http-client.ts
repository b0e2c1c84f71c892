/** Requests over connections that stay open; a client that costs little of what is measured. */
import { Agent, request } from 'node:http';
import { LOOPBACK } from '../../deploy/loopback/ports.ts';

export interface WriteAnswer {
  readonly revision: number;
}

const JSON_TYPE = 'application/json';

export class HttpClient {
  readonly #port: number;
  readonly #agent = new Agent({ keepAlive: true });

  constructor(port: number) {
    this.#port = port;
  }

  /** `body`: of `POST /v1/sources/<source>/batches`. */
  async batch(source: string, body: unknown): Promise<WriteAnswer> {
    const text = JSON.stringify(body);
    return await this.#write('POST', `/v1/sources/${source}/batches`, JSON_TYPE, text);
  }

  async policy(name: string, text: string): Promise<WriteAnswer> {
    return await this.#write('PUT', `/v1/policies/${name}/text`, 'text/plain', text);
  }

  close(): void {
    this.#agent.destroy();
  }

  #write(method: string, path: string, type: string, text: string): Promise<WriteAnswer> {
    const headers = { 'content-type': type, 'content-length': Buffer.byteLength(text) };
    const options = { host: LOOPBACK, port: this.#port, agent: this.#agent, method, path, headers };
    return new Promise((resolve, reject) => {
      const call = request(options, (response) => {
        const pieces: Buffer[] = [];
        response.on('data', (piece: Buffer) => pieces.push(piece));
        response.on('error', reject);
        response.on('end', () => {
          const answer = Buffer.concat(pieces).toString();
          if (response.statusCode === 200) resolve(JSON.parse(answer) as WriteAnswer);
          else reject(new Error(`${path} answered ${response.statusCode}: ${answer}`));
        });
      });
      call.on('error', reject);
      call.end(text);
    });
  }
}
