// Reproduces a bundle's golden outputs from raw RGB and raw PCM, in JavaScript (WebAssembly, no native code):
//
//     npm install
//     node verify.mjs ../../avfeat/default
//
// Exit status 1 where an output is not what the bundle promises.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as ort from "onnxruntime-web";
import { readNpz } from "./npz.mjs";

// The greatest errors that "avfeat verify" allows; it looks at distances between clips, too.
const LIMITS = { fp32: 1e-3, fp16: 2e-2, int8: 3e-1 };

ort.env.wasm.numThreads = 1;

// For a program of yours: frames are T RGB pictures of a window, uint8 (1, T, height, width, 3), row by row;
// waveform is float32 (1, samples), mono, in [-1, 1]. bundle.json says how many a second of each.
async function embed(session, graph, type, input) {
  const tensor = new ort.Tensor(type, input.data, input.shape);
  const outputs = await session.run({ [graph.input.name]: tensor });
  return { features: outputs[graph.outputs.features.name], shared: outputs[graph.outputs.shared.name] };
}

function difference(found, expected) {
  if (found.dims.join() !== expected.shape.join()) return Infinity;
  let most = 0;
  let scale = 0;
  for (let i = 0; i < expected.data.length; i++) {
    const apart = Math.abs(found.data[i] - expected.data[i]);
    if (!Number.isFinite(apart)) return Infinity;
    most = Math.max(most, apart);
    scale = Math.max(scale, Math.abs(expected.data[i]));
  }
  return most / scale;
}

async function main(folder) {
  const manifest = JSON.parse(readFileSync(join(folder, "bundle.json"), "utf8"));
  const golden = readNpz(readFileSync(join(folder, "golden.npz")));
  const limit = LIMITS[manifest.precision];
  let right = true;
  for (const [modality, type] of [["video", "uint8"], ["audio", "float32"]]) {
    const graph = manifest[modality];
    const session = await ort.InferenceSession.create(new Uint8Array(readFileSync(join(folder, graph.files.onnx))));
    const found = await embed(session, graph, type, golden[graph.input.name]);
    for (const output of ["features", "shared"]) {
      const error = difference(found[output], golden[`${modality}_${output}`]);
      const ok = error <= limit;
      right &&= ok;
      console.log(`${modality} ${output}: error ${error.toExponential(1)}, limit ${limit} ${ok ? "ok" : "WRONG"}`);
    }
  }
  return right;
}

const folder = process.argv[2];
if (!folder) {
  console.error("usage: node verify.mjs BUNDLE");
  process.exit(2);
}
process.exit((await main(folder)) ? 0 : 1);
