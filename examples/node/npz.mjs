// Reads NumPy's .npz: a zip archive (stored or deflated) of .npy arrays. Numbers come as typed arrays.

import { inflateRawSync } from "node:zlib";

const TYPES = { "|u1": Uint8Array, "<f4": Float32Array, "<f8": Float64Array, "<i8": BigInt64Array };

export function readNpz(buffer) {
  const end = buffer.lastIndexOf(Buffer.from("PK\x05\x06", "latin1"));
  if (end < 0) throw new Error("not a zip archive");
  const count = buffer.readUInt16LE(end + 10);
  let at = buffer.readUInt32LE(end + 16);
  const arrays = {};
  for (let entry = 0; entry < count; entry++) {
    const method = buffer.readUInt16LE(at + 10);
    const packed = buffer.readUInt32LE(at + 20);
    const nameLength = buffer.readUInt16LE(at + 28);
    const name = buffer.toString("utf8", at + 46, at + 46 + nameLength);
    const local = buffer.readUInt32LE(at + 42);
    // The local header's own lengths count: they may differ from those of the directory.
    const data = local + 30 + buffer.readUInt16LE(local + 26) + buffer.readUInt16LE(local + 28);
    const bytes = buffer.subarray(data, data + packed);
    arrays[name.replace(/\.npy$/, "")] = readNpy(method === 8 ? inflateRawSync(bytes) : bytes, name);
    at += 46 + nameLength + buffer.readUInt16LE(at + 30) + buffer.readUInt16LE(at + 32);
  }
  return arrays;
}

function readNpy(bytes, name) {
  const wide = bytes[6] >= 2;
  const length = wide ? bytes.readUInt32LE(8) : bytes.readUInt16LE(8);
  const begin = (wide ? 12 : 10) + length;
  const header = bytes.toString("latin1", wide ? 12 : 10, begin);
  const type = /'descr': '([^']+)'/.exec(header)[1];
  if (!(type in TYPES) || /'fortran_order': True/.test(header)) throw new Error(`${name}: cannot read ${header}`);
  const shape = [.../'shape': \(([^)]*)\)/.exec(header)[1].matchAll(/\d+/g)].map(Number);
  // A copy, for typed arrays begin at multiples of their size.
  const data = new Uint8Array(bytes.subarray(begin)).buffer;
  return { shape, data: new TYPES[type](data) };
}
