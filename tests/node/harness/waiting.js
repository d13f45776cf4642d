// Waiting for something to become true, with a deadline instead of a guessed sleep.

import { setTimeout as sleep } from 'node:timers/promises';

/** Calls `condition` until it returns (or resolves to) something true, and returns that; throws after `seconds`. */
export async function until(condition, { seconds = 15, what = 'the condition' } = {}) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const result = await condition();
    if (result) return result;
    if (Date.now() > deadline) {
      throw new Error(`not true within ${seconds} s: ${typeof what === 'function' ? what() : what}`);
    }
    await sleep(10);
  }
}
