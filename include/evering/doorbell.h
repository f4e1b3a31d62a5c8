/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_DOORBELL_H
#define EVERING_DOORBELL_H

/**
 * doorbell.h - sleeping until a peer has published something (an eventcount).
 *
 * A doorbell lies in shared memory beside what it announces, a ring for example, and
 * knows nothing of it. One who finds the ring empty and wants to sleep:
 *
 *	for (;;) {
 *		epoch = evr_doorbell_arm(bell);
 *		if (try to pop succeeds)                        // the re-check
 *			return it;
 *		error = evr_doorbell_sleep(bell, epoch, deadline_ns);
 *		if (try to pop succeeds) {
 *			if (error == -EAGAIN && !evr_doorbell_rung_since(bell, epoch))
 *				evr_doorbell_count_backstop(bell);
 *			return it;
 *		}
 *		if (error < 0 && error != -EAGAIN)
 *			return error;                           // -ETIMEDOUT, ...
 *	}
 *
 * and one who has pushed calls evr_doorbell_ring(), which costs a fence and a load while
 * nobody sleeps, and makes a system call only when somebody may.
 *
 * Wake-ups that survive a death. A notifier that dies between its push and its ring
 * leaves a sleeper asleep beside work; so does a sleeper that is woken and dies, or is
 * stopped, before it has taken the work. Four rules bound that, kept by the caller:
 *  1. Who was woken and leaves more work behind passes the wake on: evr_doorbell_ring().
 *  2. Close, recovery and death ring everybody: evr_doorbell_ring_all().
 *  3. After *every* return of evr_doorbell_sleep(), a time-out included, look once more.
 *  4. No sleep is longer than EVR_DOORBELL_BACKSTOP_NS: -EAGAIN says that it ended so,
 *     and the caller looks again at all it waits for, deaths included. If there is work
 *     that nobody rang for, it calls evr_doorbell_count_backstop(): the count stays zero
 *     where nobody dies or is stopped.
 * So sleeping is not stop-proof as polling is: a peer stopped between its push and its
 * ring can delay a sleeper, by the back-stop at most.
 *
 * Nothing that a peer writes into a doorbell makes a call here hang or touch other
 * memory; it can cost superfluous wakes, and sleeps of one back-stop each.
 */

#include <evering/atomic.h>
#include <evering/base.h>

EVR_BEGIN_DECLS

/* No single sleep is longer: 50 ms. */
#define EVR_DOORBELL_BACKSTOP_NS UINT64_C(50000000)

/*
 * The word, from its low end: bit 0 "somebody may sleep", bit 1 "an eventfd is armed"
 * (reserved: nobody sets it yet), bits 31..2 the epoch, bits 63..32 the arm counter. Its
 * low half is the futex. An initialised word has never epoch 0 at first, so that fresh
 * pages do not look like a doorbell.
 */
#define EVR_DOORBELL_SLEEPER UINT64_C(1)
#define EVR_DOORBELL_EVENTFD UINT64_C(2)
#define EVR_DOORBELL_EPOCH_ONE UINT64_C(4)
#define EVR_DOORBELL_ARM_ONE (UINT64_C(1) << 32)

/* The bytes in shared memory: frozen. */
struct evr_doorbell_shared {
	struct evr_atomic_u64 word;
	struct evr_atomic_u64 backstops; /* written by sleepers only */
	uint64_t reserved[6];            /* zero */
} EVR_CACHE_ALIGNED;

EVR_STATIC_ASSERT(sizeof(struct evr_doorbell_shared) == 64, "shared layout");
EVR_STATIC_ASSERT(offsetof(struct evr_doorbell_shared, word) == 0, "shared layout");
EVR_STATIC_ASSERT(offsetof(struct evr_doorbell_shared, backstops) == 8, "shared layout");

/**
 * evr_doorbell_init() - make a doorbell of 64 bytes of shared memory.
 * @bell:  the bytes; what was in them does not matter.
 *
 * Threads:  before anybody else can find the bell; publishing it is the caller's.
 */
EVR_API void evr_doorbell_init(struct evr_doorbell_shared *bell);

/**
 * evr_doorbell_ring_slow() - the part of evr_doorbell_ring() that somebody sleeps for.
 * @bell:  the bell.
 *
 * Begins a new epoch, so that whoever is about to sleep does not, and wakes one sleeper.
 * Not to be called directly; exported because evr_doorbell_ring() is inline.
 *
 * Threads:  any number at once, over all processes.
 * Signals:  async-signal-safe. Makes one system call and never blocks.
 * Stopped:  stopped or killed before the wake, it leaves "somebody may sleep" set: the
 *           next ring wakes, or the back-stop does. It delays no one else.
 */
EVR_API void evr_doorbell_ring_slow(struct evr_doorbell_shared *bell);

/**
 * evr_doorbell_ring() - tell a sleeper, if there is one, that something was published.
 * @bell:  the bell beside it.
 *
 * For what was published by a plain store. Wakes one sleeper; the one woken rings again
 * when he leaves work behind (see above).
 *
 * Ordering: has a full fence in front, so that the publishing store is visible before the
 *           look at the bell; none behind.
 * Threads:  any number at once, over all processes.
 * Signals:  async-signal-safe. Never blocks; a system call only if somebody may sleep.
 * Stopped:  see evr_doorbell_ring_slow().
 */
EVR_INLINE void evr_doorbell_ring(struct evr_doorbell_shared *bell)
{
	/* SYNC doorbell/sleep (seq_cst fence), pairs with evr_doorbell_arm(). Weaker, the
	 * load below could pass the publishing store: we would see nobody armed while the
	 * sleeper's re-check sees nothing published, and it would sleep beside work. */
	evr_fence_seq_cst();
	if (EVR_UNLIKELY((evr_load_relaxed_u64(&bell->word) &
			  (EVR_DOORBELL_SLEEPER | EVR_DOORBELL_EVENTFD)) != 0))
		evr_doorbell_ring_slow(bell);
}

/**
 * evr_doorbell_ring_after_cas() - evr_doorbell_ring() behind a compare-and-swap.
 * @bell:  the bell.
 *
 * For what was published by an atomic read-modify-write of this thread with no shared
 * access in between: on x86 that was the full fence already, and only the load remains.
 * All else as evr_doorbell_ring().
 */
EVR_INLINE void evr_doorbell_ring_after_cas(struct evr_doorbell_shared *bell)
{
	/* SYNC doorbell/sleep (fence after CAS), pairs with evr_doorbell_arm(). As in
	 * evr_doorbell_ring(): weaker, a sleeper sleeps beside work. */
	evr_fence_after_cas();
	if (EVR_UNLIKELY((evr_load_relaxed_u64(&bell->word) &
			  (EVR_DOORBELL_SLEEPER | EVR_DOORBELL_EVENTFD)) != 0))
		evr_doorbell_ring_slow(bell);
}

/**
 * evr_doorbell_arm() - say that this thread is about to sleep.
 * @bell:  the bell.
 *
 * Look again for work between this call and evr_doorbell_sleep(): what was published
 * before the arming does not ring. Work found then needs no disarming; the next ring is
 * one superfluous wake, no more.
 *
 * Ordering: has a full fence behind, so that the re-check comes after the arming.
 * Threads:  any number at once, over all processes.
 * Signals:  async-signal-safe. Never blocks, makes no system call.
 * Stopped:  a sleeper killed at any point costs the next notifier one superfluous wake.
 *
 * Return: the epoch to hand to evr_doorbell_sleep().
 */
EVR_API EVR_NODISCARD uint32_t evr_doorbell_arm(struct evr_doorbell_shared *bell);

/**
 * evr_doorbell_sleep() - sleep until the bell rings.
 * @bell:         the bell.
 * @epoch:        from this thread's evr_doorbell_arm().
 * @deadline_ns:  CLOCK_MONOTONIC, or EVR_NEVER.
 *
 * Threads:  any number at once, over all processes.
 * Signals:  async-signal-safe; blocks. A handler that runs ends the sleep with 0.
 *
 * Return: 0 when woken or when the bell has rung since the arming (or for no reason: look
 * again); -ETIMEDOUT at the deadline, also when it had passed before the call; -EAGAIN
 * when the back-stop ended the sleep; -EFAULT when the bell is not mapped any more.
 */
EVR_API EVR_NODISCARD int evr_doorbell_sleep(const struct evr_doorbell_shared *bell,
					     uint32_t epoch, uint64_t deadline_ns);

/**
 * evr_doorbell_rung_since() - has the bell rung since an arming?
 * @bell:   the bell.
 * @epoch:  from evr_doorbell_arm().
 *
 * After a back-stop it tells the two reasons for finding work apart: somebody rang and
 * another sleeper, who is on his way, was woken (true), or nobody rang (false).
 *
 * Ordering: none. Threads: any number at once. Signals: async-signal-safe.
 */
EVR_INLINE bool evr_doorbell_rung_since(const struct evr_doorbell_shared *bell,
					uint32_t epoch)
{
	/* The low bits are flags, which come and go without a ring. */
	return ((uint32_t)evr_load_relaxed_u64(&bell->word) ^ epoch) >=
	       EVR_DOORBELL_EPOCH_ONE;
}

/**
 * evr_doorbell_ring_all() - wake everybody, armed or not.
 * @bell:  the bell.
 *
 * For what all sleepers must hear: close, a death, recovery.
 *
 * Ordering: release: whoever is woken or arms afterwards sees what was stored before.
 * Threads:  any number at once, over all processes.
 * Signals:  async-signal-safe. Makes one system call and never blocks.
 */
EVR_API void evr_doorbell_ring_all(struct evr_doorbell_shared *bell);

/**
 * evr_doorbell_count_backstop() - report that the back-stop, not a ring, led to work.
 * @bell:  the bell that should have rung.
 *
 * To be called when evr_doorbell_sleep() gave -EAGAIN, the look after it found work, and
 * evr_doorbell_rung_since() says that nobody rang for it.
 *
 * Threads:  any number at once, over all processes.
 * Signals:  async-signal-safe. Never blocks, makes no system call.
 */
EVR_API void evr_doorbell_count_backstop(struct evr_doorbell_shared *bell);

/**
 * evr_doorbell_backstops() - how often work was found that nobody had rung for.
 * @bell:  the bell.
 *
 * Threads:  any number at once, over all processes.
 * Signals:  async-signal-safe. Never blocks, makes no system call.
 *
 * Return: the count since evr_doorbell_init(), over all processes. It stays zero where
 * nobody dies or is stopped in between; anything else is worth a report.
 */
EVR_API uint64_t evr_doorbell_backstops(const struct evr_doorbell_shared *bell);

EVR_END_DECLS

#endif
