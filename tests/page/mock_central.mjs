// MockCentral: a server that speaks central/api/FORMAT.md as far as the page needs it, so that the page is tried without a cluster and in
// states that a cluster does not come into when asked. Its numbers are made up, and the same in each run.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WebSocketServer } from './modules.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const types = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml' };
export const page_policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

export class MockCentral {
  constructor({ uplot_dir = process.env.WEIR_UPLOT, token = null, start_ms = Date.parse('2026-03-01T03:12:00Z') } = {}) {
    Object.assign(this, { uplot_dir, token, sequence: 0, clients: new Set(), acts: [], requests: [], started: performance.now(), start_ms, timer: null });
    this.objects = {};
    this.lists = { edges: [], lanes: [], windows: [], anomalies: [], alerts: [], letters: [], silences: [] };
    this.http = createServer((request, response) => this.#answer(request, response));
    this.sockets = new WebSocketServer({ noServer: true, handleProtocols: () => 'weir.v1' });
    this.http.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
  }

  listen(port = 0) {
    return new Promise((done) => this.http.listen(port, '127.0.0.1', () => { this.port = this.http.address().port; done(this); }));
  }
  now_ms() { return Math.round(this.start_ms + performance.now() - this.started); }
  // Cuts every client and takes no new one, until listen().
  cut() {
    for (const client of this.clients) client.terminate();
    return new Promise((done) => { this.http.close(done); this.http.closeAllConnections(); });
  }
  close() {
    clearInterval(this.timer);
    return this.cut();
  }

  // {objects, lists: {name: {rows, gone}}}: becomes part of the state and goes to all clients.
  push(change = {}) {
    const base = this.sequence;
    Object.assign(this.objects, change.objects);
    for (const [name, { rows = [], gone = [] }] of Object.entries(change.lists ?? {})) {
      const kept = new Map(this.lists[name].map((row) => [row.id, row]));
      for (const row of rows) kept.set(row.id, row);
      for (const id of gone) kept.delete(id);
      this.lists[name] = [...kept.values()];
    }
    ++this.sequence;
    this.#send({ type: 'delta', sequence: this.sequence, base, now_ms: this.now_ms(), made_ns: 0, objects: change.objects ?? {}, lists: change.lists ?? {} });
  }
  beat() { this.#send({ type: 'beat', sequence: this.sequence, now_ms: this.now_ms() }); }

  #send(message) {
    const text = JSON.stringify(message);
    for (const client of this.clients) client.send(text);
  }

  #upgrade(request, socket, head) {
    const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((one) => one.trim());
    if (this.token && !offered.includes(`weir.token.${this.token}`)) {
      socket.end('HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n');
      return;
    }
    this.sockets.handleUpgrade(request, socket, head, (client) => {
      this.clients.add(client);
      client.on('close', () => this.clients.delete(client));
      client.send(JSON.stringify({ type: 'state', sequence: this.sequence, now_ms: this.now_ms(), made_ns: 0, format: 1, pushes_per_second: 10, objects: this.objects, lists: this.lists }));
    });
  }

  #answer(request, response) {
    const url = new URL(request.url, 'http://127.0.0.1');
    this.requests.push(`${request.method} ${request.url}`);
    if (url.pathname.startsWith('/api/')) return this.#api(request, response, url);
    const bytes = this.#file(url.pathname);
    if (!bytes) return response.writeHead(404).end();
    const etag = `"${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}"`;
    response.writeHead(200, { 'Content-Type': types[url.pathname === '/' ? '.html' : extname(url.pathname)], 'Content-Security-Policy': page_policy, ETag: etag, 'Cache-Control': 'no-cache' }).end(bytes);
  }

  #file(path) {
    if (path === '/') return readFileSync(join(root, 'central/page/index.html'));
    const name = normalize(path).replace(/^\/assets\//, '');
    if (name === 'uplot.js') return readFileSync(join(this.uplot_dir, 'uPlot.iife.min.js'));
    if (name === 'uplot.css') return readFileSync(join(this.uplot_dir, 'uPlot.min.css'));
    const file = join(root, 'central/page', name);
    return path.startsWith('/assets/') && existsSync(file) ? readFileSync(file) : null;
  }

  #api(request, response, url) {
    const problem = (status, detail) => response.writeHead(status, { 'Content-Type': 'application/problem+json' }).end(JSON.stringify({ type: 'about:blank', title: 'Not done', status, detail }));
    if (this.token && request.headers.authorization !== `Bearer ${this.token}`) return problem(401, 'no token, or one that is not known');
    if (url.pathname === '/api/v1/health') return response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify({ health: this.objects.health }));
    if (request.method !== 'POST') return problem(404, 'no such path');
    if (request.headers['x-weir'] !== '1') return problem(403, 'not from a page of another origin');
    if (!request.headers['weir-reason'] && !url.pathname.startsWith('/api/v1/lanes')) return problem(400, 'Weir-Reason is missing');
    const query = Object.fromEntries(url.searchParams);
    this.acts.push({ path: url.pathname, query, reason: request.headers['weir-reason'] });
    if (url.pathname === '/api/v1/dead-letters/replay') {
      const letters = this.lists.letters.filter((letter) => letter.edge === query.edge && String(letter.sequence) === query.sequence);
      response.writeHead(200, { 'Content-Type': 'application/x-ndjson' }).end(letters.map((letter) => `${JSON.stringify({ ...letter, outcome: 'accepted' })}\n`).join(''));
      return;
    }
    response.writeHead(200, { 'Content-Type': 'application/json' }).end('{}');
  }
}
