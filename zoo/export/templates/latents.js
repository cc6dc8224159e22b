// The random numbers of torch's generator on a CPU, so that a seed draws the same image here as in Python.

// Mersenne Twister, Matsumoto and Nishimura 1998.
class Twister {
  constructor(seed) {
    this.state = new Uint32Array(624);
    this.state[0] = seed >>> 0;
    for (let i = 1; i < 624; i++) {
      const last = this.state[i - 1] ^ (this.state[i - 1] >>> 30);
      this.state[i] = (Math.imul(1812433253, last) + i) >>> 0;
    }
    this.place = 624;
  }

  next() {
    if (this.place === 624) this.refill();
    let x = this.state[this.place++];
    x ^= x >>> 11;
    x ^= (x << 7) & 0x9d2c5680;
    x ^= (x << 15) & 0xefc60000;
    return (x ^ (x >>> 18)) >>> 0;
  }

  refill() {
    const state = this.state;
    for (let i = 0; i < 624; i++) {
      const joined = (state[i] & 0x80000000) | (state[(i + 1) % 624] & 0x7fffffff);
      state[i] = state[(i + 397) % 624] ^ (joined >>> 1) ^ (joined & 1 ? 0x9908b0df : 0);
    }
    this.place = 0;
  }

  // In [0, 1) with the 24 bits of a float32, as torch.rand.
  uniform() {
    return (this.next() & 0xffffff) / 0x1000000;
  }

  // In [0, 1) with the 53 bits of a float64; the first draw has the upper bits.
  uniform64() {
    const upper = this.next(), lower = this.next();
    return ((upper & 0x1fffff) * 0x100000000 + lower) / 0x20000000000000;
  }

  // One normal number; they are made in pairs, of which the second is kept for the next call.
  normal() {
    if (this.kept !== undefined) {
      const kept = this.kept;
      this.kept = undefined;
      return kept;
    }
    const angle = 2 * Math.PI * this.uniform64(), radius = Math.sqrt(-2 * Math.log1p(-this.uniform64()));
    this.kept = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }
}

// Turn 16 uniform numbers from `first` on into normal ones: the first eight are radii, the last eight angles.
function makeNormal(values, first) {
  for (let i = first; i < first + 8; i++) {
    const radius = Math.sqrt(-2 * Math.log(1 - values[i])), angle = 2 * Math.PI * values[i + 8];
    values[i] = radius * Math.cos(angle);
    values[i + 8] = radius * Math.sin(angle);
  }
}

// As torch.randn: in blocks of 16, the last block drawn anew if the count is no multiple of 16; few numbers one by one.
function randn(twister, count) {
  const values = new Float64Array(count);
  if (count < 16) {
    return values.map(() => twister.normal());
  }
  for (let i = 0; i < count; i++) values[i] = twister.uniform();
  for (let i = 0; i + 16 <= count; i += 16) makeNormal(values, i);
  if (count % 16) {
    for (let i = count - 16; i < count; i++) values[i] = twister.uniform();
    makeNormal(values, count - 16);
  }
  return values;
}

function draw(twister, facts) {
  if (facts.latent === "normal") return randn(twister, facts.latent_dim);
  return Float64Array.from({ length: facts.latent_dim }, () => twister.uniform() * 2 - 1);
}

// The latent of a seed. With a truncation, coordinates outside [-truncation, truncation] are drawn again.
function latentOf(seed, facts, truncation = Infinity) {
  const twister = new Twister(seed), latent = draw(twister, facts);
  while (latent.some((x) => Math.abs(x) > truncation)) {
    const again = draw(twister, facts);
    latent.forEach((x, i) => { if (Math.abs(x) > truncation) latent[i] = again[i]; });
  }
  return latent;
}

// The point between two latents on the great circle, at a fraction of the way.
function between(start, end, fraction) {
  const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
  const cosine = dot(start, end) / Math.sqrt(dot(start, start) * dot(end, end));
  const angle = Math.acos(Math.min(1 - 1e-6, Math.max(-1 + 1e-6, cosine)));
  const a = Math.sin((1 - fraction) * angle) / Math.sin(angle), b = Math.sin(fraction * angle) / Math.sin(angle);
  return start.map((x, i) => a * x + b * end[i]);
}
