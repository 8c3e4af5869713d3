"""Print millions of samples a second of every quantizer, beside the same search in plain C, in one run.

Usage: python tests/perf/trellis.py
The C peer is the textbook Viterbi search, one channel at a time, compiled here with `gcc -O3 -march=native`;
without gcc its column stays empty. Each figure is the best of several runs: other
processes may want the machine at the same time.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.arrays import I32, U8
from benchmark.learned.quantizers import QUANTIZERS, get_quantizer
from benchmark.learned.quantizers.tcq import Tcq, rate_costs
from benchmark.learned.tables import SCALE_TABLE

Floats = NDArray[np.float32]

CHANNELS, LENGTH, RUNS = 192, 1536, 15
MEGA = 1e-6

C_SOURCE = r"""
#include <math.h>
#include <stdint.h>
#include <string.h>
#define MOST (1 << 18)
static uint8_t taken[MOST][8];
static int32_t winner[MOST][4];

void search(const float *x, const uint8_t *scale, float inverse, const float *costs, const int32_t *start,
            const int32_t *last, int channels, int length, int states, const uint8_t *before,
            const uint8_t *quantizer, int32_t *out) {
  for (int c = 0; c < channels; c++, x += length, scale += length, out += length) {
    float cost[8], next[8];
    for (int s = 0; s < states; s++) cost[s] = s ? 1e30f : 0.0f;
    for (int t = 0; t < length; t++) {
      float a = fabsf(x[t]) * inverse, best[4];
      const float *row = costs + start[scale[t]];
      int end = last[scale[t]];
      for (int q = 0; q < 2; q++)
        for (int p = 0; p < 2; p++) {
          int below = (int)((a + q) * 0.5f), low = below - ((below ^ p) & 1);
          float least = 1e30f;
          int pick = 0;
          for (int k = low; k <= low + 2; k += 2) {
            if (k < 0) continue;
            float e = a - (float)(2 * k - (k > 0 ? q : 0));
            int i = 2 * k + q < end ? 2 * k + q : end;
            float j = e * e + row[i];
            if (j < least) least = j, pick = k;
          }
          if (p == 0 && a * a + row[q] < least) least = a * a + row[q], pick = 0;
          best[2 * q + p] = least;
          winner[t][2 * q + p] = pick;
        }
      float floor_cost = 1e30f;
      for (int s = 0; s < states; s++) {
        const uint8_t *b = before + 4 * s;
        float j0 = cost[b[0]] + best[2 * quantizer[b[0]] + b[1]];
        float j1 = cost[b[2]] + best[2 * quantizer[b[2]] + b[3]];
        taken[t][s] = j1 < j0;
        next[s] = j1 < j0 ? j1 : j0;
        if (next[s] < floor_cost) floor_cost = next[s];
      }
      for (int s = 0; s < states; s++) cost[s] = next[s] - floor_cost;
    }
    int s = 0;
    for (int i = 1; i < states; i++)
      if (cost[i] < cost[s]) s = i;
    for (int t = length - 1; t >= 0; t--) {
      const uint8_t *b = before + 4 * s + 2 * taken[t][s];
      int k = winner[t][2 * quantizer[b[0]] + b[1]];
      out[t] = x[t] < 0 ? -k : k;
      s = b[0];
    }
  }
}
"""


def samples_per_second(
    work: Callable[[], object], samples: int, clock: Callable[[], float] = time.thread_time
) -> float:
    """Return the best rate over RUNS runs, in millions a second, warm-up not counted.

    The default clock is this thread's processor time, which other processes do not inflate.
    """
    work()
    seconds = []
    for _ in range(RUNS):
        begin = clock()
        work()
        seconds.append(clock() - begin)
    return samples / min(seconds) * MEGA


def c_search(residual: Floats, scale_index: U8, quantizer: Tcq) -> Callable[[], I32] | None:
    """Return a call of the C search on these arrays, or None where there is no gcc."""
    gcc = shutil.which("gcc")
    if gcc is None:
        return None
    folder = Path(tempfile.mkdtemp())
    (folder / "peer.c").write_text(C_SOURCE)
    library = folder / "peer.so"
    subprocess.run(
        [gcc, "-O3", "-march=native", "-shared", "-fPIC", folder / "peer.c", "-o", library], check=True
    )
    search = ctypes.CDLL(str(library)).search
    shutil.rmtree(folder)
    settings = quantizer.default_settings()
    table, machine = rate_costs(quantizer.fit, settings), quantizer.machine
    arrays = (residual, scale_index, table.costs, table.start, table.last)
    before = np.ascontiguousarray(machine.predecessors())
    out = np.empty(residual.shape, np.int32)
    x, scale, costs, start, last = (ctypes.c_void_p(array.ctypes.data) for array in arrays)

    def run() -> I32:
        search(
            x,
            scale,
            ctypes.c_float(1.0 / settings.delta),
            costs,
            start,
            last,
            *residual.shape,
            machine.states,
            ctypes.c_void_p(before.ctypes.data),
            ctypes.c_void_p(machine.lattice.ctypes.data),
            ctypes.c_void_p(out.ctypes.data),
        )
        return out

    return run


def measure(name: str, residual: Floats, scale_index: U8) -> str:
    """Return the line of one quantizer."""
    quantizer = get_quantizer(name)
    settings = quantizer.default_settings()
    size = residual.size
    one = samples_per_second(lambda: quantizer.quantize(residual, scale_index, settings), size)
    two = samples_per_second(
        lambda: quantizer.quantize(residual, scale_index, settings, threads=2), size, time.perf_counter
    )
    indices = quantizer.quantize(residual, scale_index, settings)
    back = samples_per_second(lambda: quantizer.dequantize(indices, scale_index, settings), size)
    peer = c_search(residual, scale_index, quantizer) if isinstance(quantizer, Tcq) else None
    c_rate = ratio = ""
    if peer is not None:
        rate = samples_per_second(peer, size)
        c_rate, ratio = f"{rate:.1f}", f"{one / rate:.2f}"
        if not np.array_equal(peer(), indices):
            raise SystemExit(f"{name}: the C search found other indices")
    return f"{name:10} {one:9.1f} {two:9.1f} {c_rate:>7} {ratio:>6} {back:11.1f}"


def main() -> None:
    """Print one line a quantizer."""
    rng = np.random.default_rng(0)
    scale_index = rng.integers(0, 32, (CHANNELS, LENGTH)).astype(np.uint8)
    noise = rng.standard_normal(scale_index.shape)
    residual = (noise * SCALE_TABLE[scale_index]).astype(np.float32)
    print(f"{CHANNELS} channels of {LENGTH} samples, millions of samples a second, best of {RUNS}")
    print("(one thread: by processor time; two threads: by the clock on the wall)")
    print(f"{'quantizer':10} {'1 thread':>9} {'2 threads':>9} {'C':>7} {'ratio':>6} {'dequantize':>11}")
    for name in QUANTIZERS.names():
        print(measure(name, residual, scale_index))


if __name__ == "__main__":
    main()
