/** The places of an HTTP server's connections: idle ones make room, busy ones stay. */
import { EventEmitter } from "node:events";
import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ConnectionPlaces } from "../../../transport/connection_places.ts";

class FakeSocket extends EventEmitter {
  isDestroyed = false;

  destroy(): void {
    this.isDestroyed = true;
    this.emit("close");
  }
}

/** Returns a connection that has a place, and its socket. */
function taken(places: ConnectionPlaces): { readonly socket: FakeSocket; readonly as: Socket } {
  const socket = new FakeSocket();
  const as = socket as unknown as Socket;
  places.take(as);
  return { socket, as };
}

/** Begins a request; returns the function that finishes its response. */
function requested(places: ConnectionPlaces, socket: Socket): () => void {
  const response = new EventEmitter();
  places.busy(socket, response as unknown as ServerResponse);
  return () => void response.emit("finish");
}

test("ConnectionPlaces: the longest idle connection makes room; with none idle the new one is dropped", () => {
  const places = new ConnectionPlaces(2);
  const [first, second] = [taken(places), taken(places)];
  const finish = requested(places, first.as);
  const third = taken(places);
  assert.equal([first, second, third].map(({ socket }) => socket.isDestroyed), [
    false,
    true,
    false,
  ]);
  requested(places, third.as);
  assert.ok(taken(places).socket.isDestroyed);
  finish();
  assert.not(taken(places).socket.isDestroyed);
  assert.ok(first.socket.isDestroyed);
  assert.is(places.count, 2);
});

test("ConnectionPlaces: a connection with several requests is busy until the last response is finished", () => {
  const places = new ConnectionPlaces(1);
  const { socket, as } = taken(places);
  const finishes = [requested(places, as), requested(places, as)];
  finishes[0]!();
  places.closeIdle();
  assert.not(socket.isDestroyed);
  finishes[1]!();
  places.closeIdle();
  assert.ok(socket.isDestroyed);
  assert.is(places.count, 0);
});

test("ConnectionPlaces: a request that comes before its connection has a place keeps it busy", () => {
  const places = new ConnectionPlaces(1);
  const early = new FakeSocket() as unknown as Socket;
  requested(places, early);
  places.take(early);
  assert.ok(taken(places).socket.isDestroyed);
  assert.is(places.count, 1);
});

test.run();
