/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * channel_wait.c - the waiting calls: spin, then sleep on the doorbell, until a deadline.
 *
 * A sleep ends by a ring, by the deadline, or by the doorbell's back-stop; after each of
 * them the ring is looked at again. The back-stop is also when the dead are looked for,
 * and a handle that never sleeps looks for them as often by the clock.
 */

#include <evering/channel.h>
#include <evering/recovery.h>

#include "channel_internal.h"
#include "watch.h"

/* So many calls that found something at once go by between two looks at the clock. */
#define CALLS_PER_CLOCK 256

/* So many tries between two looks at the clock while spinning. */
#define TRIES_PER_CLOCK 32

/* Nothing rings when a submission ring gets room: look again so often. */
#define ROOM_CHECK_NS 1000000

/* When something had to be postponed, the next look comes after so many intervals. */
#define POSTPONED_INTERVALS 10

/* What is looked at by recovery between two tries: some 100 us, or 500 when none of it is
 * in the CPU's caches (docs/RECOVERY.md, What it costs). */
#define LOOKS_PER_STEP 65536

/* One kind of waiting: what is tried, and which bell announces that it may succeed. */
struct attempt {
	int (*try_once)(void *handle, void *argument); /* -EAGAIN: not yet */
	void *handle;
	void *argument;
	struct evr_doorbell_shared *bell;
	uint64_t nap_max_ns; /* of one sleep; EVR_NEVER: the doorbell's own bound */
};

static uint32_t deaths_so_far(const struct evr_agent *agent)
{
	/* SYNC region/deaths (acquire), pairs with judge(). */
	return evr_load_acquire_u32(&agent->pool->region->shared->deaths);
}

/* One step, so that a call is never held up by the size of pool and rings. */
static int look_for_dead(struct evri_wait *wait, struct evr_agent *agent, uint64_t now_ns)
{
	int result = 0;

	evri_agent_acknowledge(agent);
	if (now_ns < wait->next_check_ns && !wait->recovering)
		return 0;
	if (!wait->recovering)
		wait->deaths_before = deaths_so_far(agent);
	if (!wait->recoverer)
		result = evr_recoverer_open(agent, &wait->recoverer);
	if (result == 0)
		result = evr_recoverer_step(wait->recoverer, LOOKS_PER_STEP, NULL);
	wait->recovering = result == 1;
	/* Over, but some died since it began: it was not for them, the next one is. */
	if (result == 0 || result == -EAGAIN) {
		uint32_t deaths = deaths_so_far(agent);

		wait->recovering = deaths != wait->deaths_before;
		wait->deaths_before = deaths;
	}
	/* Something waits for one that is stopped: it can wait a little longer than one
	 * pass over the whole pool by every waiter in every interval is worth. */
	wait->next_check_ns = now_ns + (result == -EAGAIN ? POSTPONED_INTERVALS : 1) *
					       EVR_DEATH_CHECK_NS;
	return result == -EUCLEAN ? result : 0;
}

/* Has a death been noticed since this was asked last? Then the next look is due. */
static bool somebody_died(struct evri_wait *wait, const struct evr_agent *agent)
{
	uint32_t deaths = deaths_so_far(agent);

	if (deaths == wait->deaths_seen)
		return false;
	wait->deaths_seen = deaths;
	wait->next_check_ns = 0;
	return true;
}

static int spin(const struct attempt *attempt, struct evri_wait *wait,
		struct evr_agent *agent, uint64_t deadline_ns)
{
	uint64_t now_ns = evri_os_now_ns();
	uint64_t until_ns = now_ns + wait->options.spin_ns;

	if (until_ns > deadline_ns || until_ns < now_ns)
		until_ns = deadline_ns;
	while (now_ns < until_ns) {
		for (int i = 0; i < TRIES_PER_CLOCK; i++) {
			int error = attempt->try_once(attempt->handle, attempt->argument);

			if (error != -EAGAIN)
				return error;
			evr_pause();
		}
		now_ns = evri_os_now_ns();
	}
	int error = look_for_dead(wait, agent, now_ns);
	return error < 0 ? error : -EAGAIN;
}

static int wait_for(const struct attempt *attempt, struct evri_wait *wait,
		    struct evr_agent *agent, uint64_t deadline_ns)
{
	int error = attempt->try_once(attempt->handle, attempt->argument);

	wait->slept = false;
	if (error != -EAGAIN) {
		/* Never idle, and still to notice who died with our requests in hand. */
		if (++wait->calls % CALLS_PER_CLOCK == 0)
			(void)look_for_dead(wait, agent, evri_os_now_ns());
		return error;
	}
	for (;;) {
		uint64_t until_ns = deadline_ns;
		uint64_t now_ns;
		uint32_t epoch;
		int slept;

		error = spin(attempt, wait, agent, deadline_ns);
		if (error != -EAGAIN)
			return error;
		/* What comes back may be what is waited for: no sleep before that. */
		if (wait->recovering) {
			error = attempt->try_once(attempt->handle, attempt->argument);
			if (error != -EAGAIN)
				return error;
			if (evri_os_now_ns() >= deadline_ns)
				return -ETIMEDOUT;
			continue;
		}

		evri_watch_start(agent->pool->region);
		epoch = evr_doorbell_arm(attempt->bell);
		error = attempt->try_once(attempt->handle, attempt->argument);
		if (error != -EAGAIN)
			return error;
		now_ns = evri_os_now_ns();
		/* Armed: a death that is counted after this look rings. A peer can count
		 * for ever, but not beyond the deadline. */
		if (somebody_died(wait, agent)) {
			error = look_for_dead(wait, agent, now_ns);
			if (error < 0)
				return error;
			if (now_ns >= deadline_ns)
				return -ETIMEDOUT;
			continue;
		}
		if (attempt->nap_max_ns != EVR_NEVER &&
		    until_ns > now_ns + attempt->nap_max_ns)
			until_ns = now_ns + attempt->nap_max_ns;
		slept = evr_doorbell_sleep(attempt->bell, epoch, until_ns);
		wait->slept = true;
		error = attempt->try_once(attempt->handle, attempt->argument);
		if (error != -EAGAIN) {
			/* There was work, and nobody rang for it. */
			if (slept == -EAGAIN && error == 0 &&
			    !evr_doorbell_rung_since(attempt->bell, epoch))
				evr_doorbell_count_backstop(attempt->bell);
			return error;
		}
		now_ns = evri_os_now_ns();
		if (now_ns >= deadline_ns)
			return -ETIMEDOUT;
		if (slept < 0 && slept != -EAGAIN && slept != -ETIMEDOUT)
			return slept;
		(void)somebody_died(wait, agent);
		error = look_for_dead(wait, agent, now_ns);
		if (error < 0)
			return error;
	}
}

/* ---- submitter ---- */

static int try_submit(void *handle, void *argument)
{
	struct evr_submitter *submitter = handle;

	return evr_submitter_try_submit(submitter, argument);
}

int evr_submitter_submit(struct evr_submitter *submitter,
			 const struct evr_request *request, uint64_t deadline_ns)
{
	struct evr_request copy = *request;
	struct attempt attempt = {
		.try_once = try_submit,
		.handle = submitter,
		.argument = &copy,
		/* Our completions ring here, and where there are completions there is
		 * room soon; for the rest the naps are short. */
		.bell = &submitter->home->bell,
		.nap_max_ns = ROOM_CHECK_NS,
	};

	if (submitter->in_flight >= submitter->window)
		return evr_submitter_try_submit(submitter, request);
	return wait_for(&attempt, &submitter->wait, submitter->agent, deadline_ns);
}

static int try_reap(void *handle, void *argument)
{
	return evr_submitter_try_reap(handle, argument);
}

int evr_submitter_reap(struct evr_submitter *submitter, struct evr_completion *ret,
		       uint64_t deadline_ns)
{
	struct attempt attempt = {
		.try_once = try_reap,
		.handle = submitter,
		.argument = ret,
		.bell = &submitter->home->bell,
		.nap_max_ns = EVR_NEVER,
	};

	if (submitter->in_flight == 0) {
		/* Late answers to a predecessor may be there, to be freed. */
		int error = evr_submitter_try_reap(submitter, ret);

		return error == -EAGAIN ? -ENOENT : error;
	}
	return wait_for(&attempt, &submitter->wait, submitter->agent, deadline_ns);
}

/* ---- completer ---- */

static int try_receive(void *handle, void *argument)
{
	return evr_completer_try_receive(handle, argument);
}

int evr_completer_receive(struct evr_completer *completer, struct evr_request *ret,
			  uint64_t deadline_ns)
{
	struct evr_doorbell_shared *bell = &completer->uring->layout.shared->bell;
	struct attempt attempt = {
		.try_once = try_receive,
		.handle = completer,
		.argument = ret,
		.bell = bell,
		.nap_max_ns = EVR_NEVER,
	};
	int error = wait_for(&attempt, &completer->wait, completer->agent, deadline_ns);

	/* One ring wakes one completer; one who was woken and leaves work behind wakes
	 * the next, who may have been passed over by one that died or was stopped. */
	if (error == 0 && completer->wait.slept &&
	    !evri_ring_seems_empty(&completer->submissions))
		evr_doorbell_ring(bell);
	return error;
}
