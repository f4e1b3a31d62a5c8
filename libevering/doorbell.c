/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* doorbell.c - see <evering/doorbell.h>. */

#include <evering/doorbell.h>

#include "os.h"

#include <errno.h>
#include <limits.h>

/*
 * A failed compare-and-swap means that somebody else armed or rang, so that many in a row
 * are not an accident but a peer that scribbles. Giving up is safe: we sleep unannounced,
 * and the back-stop ends that sleep.
 */
#define ARM_TRIES_MAX 1024

/* The half of the word that the kernel looks at. */
static const uint32_t *futex_of(const struct evr_doorbell_shared *bell)
{
	const uint32_t *halves = (const uint32_t *)(const void *)&bell->word;

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	return halves + 1;
#else
	return halves;
#endif
}

void evr_doorbell_init(struct evr_doorbell_shared *bell)
{
	size_t i;

	for (i = 0; i < sizeof(bell->reserved) / sizeof(bell->reserved[0]); i++)
		evr_plain_store_u64(&bell->reserved[i], 0);
	evr_store_relaxed_u64(&bell->backstops, 0);
	evr_store_relaxed_u64(&bell->word, EVR_DOORBELL_EPOCH_ONE);
}

uint32_t evr_doorbell_arm(struct evr_doorbell_shared *bell)
{
	uint64_t seen = evr_load_relaxed_u64(&bell->word);
	uint64_t armed = seen;
	int tries;

	for (tries = 0; tries < ARM_TRIES_MAX; tries++) {
		armed = (seen | EVR_DOORBELL_SLEEPER) + EVR_DOORBELL_ARM_ONE;
		/* SYNC doorbell/clear (acq_rel), pairs with evr_doorbell_ring_slow().
		 * Flag and arm counter change in one step: apart, a notifier's clear
		 * could fall between them and take the flag from a sleeper to come. */
		/* SYNC doorbell/all (acquire half), pairs with evr_doorbell_ring_all().
		 * Relaxed, one that arms on the new epoch could miss why it began. */
		if (evr_cas_acq_rel_u64(&bell->word, &seen, armed))
			break;
		armed = seen;
	}
	/* SYNC doorbell/sleep (seq_cst fence), pairs with evr_doorbell_ring() and
	 * evr_doorbell_ring_after_cas(). Weaker, the caller's re-check could come before
	 * the arming: it finds nothing, the notifier sees nobody, and work lies beside a
	 * sleeper. */
	evr_fence_seq_cst();
	return (uint32_t)armed;
}

int evr_doorbell_sleep(const struct evr_doorbell_shared *bell, uint32_t epoch,
		       uint64_t deadline_ns)
{
	uint64_t now_ns = evri_os_now_ns();
	uint64_t until_ns = now_ns + EVR_DOORBELL_BACKSTOP_NS;
	int error;

	/* Here and not only in the kernel: a peer that never stops ringing must not make
	 * the caller's loop outlive its deadline. */
	if (now_ns >= deadline_ns)
		return -ETIMEDOUT;
	if (until_ns > deadline_ns)
		until_ns = deadline_ns;

	error = evri_os_futex_wait(futex_of(bell), epoch, until_ns);
	if (error == -ETIMEDOUT)
		return until_ns == deadline_ns ? -ETIMEDOUT : -EAGAIN;
	if (error == -EINTR)
		return 0;
	return error;
}

void evr_doorbell_ring_slow(struct evr_doorbell_shared *bell)
{
	uint64_t rung;

	/* The new epoch comes before the wake: whoever is between its re-check and the
	 * kernel then finds the word changed there and does not sleep. A carry out of the
	 * epoch runs into the arm counter, which only has to differ. */
	rung = evr_fetch_add_acq_rel_u64(&bell->word, EVR_DOORBELL_EPOCH_ONE) +
	       EVR_DOORBELL_EPOCH_ONE;
	if (evri_os_futex_wake(futex_of(bell), 1) != 0)
		return;

	/* SYNC doorbell/clear (acq_rel), pairs with evr_doorbell_arm(). Nobody was there,
	 * so the next ring need not enter the kernel. The comparison covers the arm
	 * counter: without it, one who armed and fell asleep since the wake would leave
	 * the word as it was, and lose its flag. */
	evr_cas_acq_rel_u64(&bell->word, &rung, rung & ~EVR_DOORBELL_SLEEPER);
}

void evr_doorbell_ring_all(struct evr_doorbell_shared *bell)
{
	/* SYNC doorbell/all (release half), pairs with evr_doorbell_arm(). Relaxed, one
	 * that arms on the new epoch could miss what was stored before this call, and
	 * sleep on. */
	evr_fetch_add_acq_rel_u64(&bell->word, EVR_DOORBELL_EPOCH_ONE);
	evri_os_futex_wake(futex_of(bell), INT_MAX);
}

void evr_doorbell_count_backstop(struct evr_doorbell_shared *bell)
{
	evr_fetch_add_relaxed_u64(&bell->backstops, 1);
}

uint64_t evr_doorbell_backstops(const struct evr_doorbell_shared *bell)
{
	return evr_load_relaxed_u64(&bell->backstops);
}
