/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Accesses that an image told already are not told again. */

static __always_inline u64 mix(u64 h, u64 v) {
  h ^= v;
  h *= 0x9e3779b97f4a7c15ULL;
  return h ^ (h >> 29);
}
/* Whether this image already told an access with the same sections, base and result.  Sections
 * longer than 512 bytes are always told. */
static __always_inline int repeated_since(struct scratch *s, u64 h) {
  u32 n = s->used, slot;
  if (s->jobs > 1) h = mix(h, s->queue[1].dentry);
  if (n > 512 || s->event.flags) return 0;
#pragma clang loop unroll(disable)
  for (int i = 0; i < 64; i++) {
    if (i * 8 >= n) break;
    u64 v = *(u64 *)(s->buffer + i * 8);
    if (n - i * 8 < 8) v &= (1ULL << ((n - i * 8) * 8)) - 1;
    h = mix(h, v);
  }
  slot = h & (SEEN - 1);
  u64 *last = seen.lookup(&slot);
  if (!last) return 0;
  if (*last == h) {
    struct counters *c = get_counts();
    if (c) c->repeated++;
    return 1;
  }
  *last = h;
  return 0;
}
static __always_inline int repeated(struct scratch *s) {
  return repeated_since(s, mix(mix(s->event.image, s->queue[0].dentry),
                               ((u64)s->event.tgid << 32) | ((u64)s->event.err << 16) | s->event.nr));
}
