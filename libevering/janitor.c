/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * janitor.c - answering deaths when the application says so. See <evering/janitor.h>.
 *
 * Behind one descriptor are a timer and a pidfd for each participant. Both only say that
 * a look is worth while; who is dead say the region's locks (answer.c). The PID in a
 * record is the joiner's own idea of it: it may mean nobody here, a stranger, or one that
 * has ended long ago. So it is tried once for each attach number, and a pidfd that has
 * become readable is never asked again, whatever the record says.
 */

#include <evering/janitor.h>

#include <stdlib.h>

#include "answer.h"
#include "options.h"
#include "watch.h"

#define TIMER_KEY UINT64_MAX

/* What is known of the participant in a record. */
struct follower {
	uint32_t number; /* the attach number that was tried last; 0: none */
	int pidfd;       /* or -1 */
};

struct evr_janitor {
	struct evr_region *region;
	struct evri_answer answer;
	struct follower *followers; /* by record */
	uint64_t interval_ns;
	int poller_fd;
	int timer_fd;
};

/* ---- pidfds ---- */

static void unfollow(struct evr_janitor *janitor, struct follower *follower)
{
	if (follower->pidfd < 0)
		return;
	evri_os_poller_remove(janitor->poller_fd, follower->pidfd);
	evri_os_fd_close(follower->pidfd);
	follower->pidfd = -1;
}

/* Those that say "now" have done so. @all of them is the bound; the timer may come, too.
 */
static void take_readable(struct evr_janitor *janitor)
{
	uint32_t all = janitor->region->participants_count;
	uint64_t key;

	(void)evri_os_timer_set(janitor->timer_fd, EVR_NEVER);
	for (uint32_t i = 0; i <= all; i++) {
		if (evri_os_poller_wait(janitor->poller_fd, 0, &key) < 0)
			return;
		if (key < all)
			unfollow(janitor, &janitor->followers[key]);
	}
}

static bool is_gone(const struct evr_janitor *janitor, uint32_t record)
{
	return evr_load_acquire_u64(&janitor->region->participants[record].word) !=
	       evr_participant_word(EVR_PARTICIPANT_ALIVE,
				    janitor->followers[record].number);
}

static void unfollow_gone(struct evr_janitor *janitor)
{
	for (uint32_t i = 0; i < janitor->region->participants_count; i++)
		if (is_gone(janitor, i))
			unfollow(janitor, &janitor->followers[i]);
}

/* False: there are no descriptors left. */
static bool follow(struct evr_janitor *janitor, uint32_t record, uint32_t number)
{
	struct follower *follower = &janitor->followers[record];
	uint64_t pid = evr_plain_load_u64(&janitor->region->participants[record].pid);
	int pidfd;
	int error = evri_os_pidfd_open((int64_t)pid, &pidfd);

	if (error == 0) {
		error = evri_os_poller_add(janitor->poller_fd, pidfd, record);
		if (error == 0)
			follower->pidfd = pidfd;
		else
			evri_os_fd_close(pidfd);
	}
	if (error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -ENOSPC)
		return false;
	follower->number = number;
	return true;
}

/* Newcomers. Who ends before his pidfd is open is found by the look that follows. */
static void follow_new(struct evr_janitor *janitor)
{
	const struct evr_region *region = janitor->region;

	for (uint32_t i = 0; i < region->participants_count; i++) {
		uint64_t word = evr_load_acquire_u64(&region->participants[i].word);

		if (word >> 32 != EVR_PARTICIPANT_ALIVE || i == region->record ||
		    janitor->followers[i].number == (uint32_t)word)
			continue;
		unfollow(janitor, &janitor->followers[i]);
		if (!follow(janitor, i, (uint32_t)word))
			return;
	}
}

/* ---- open, step, close ---- */

static void set_timer(struct evr_janitor *janitor)
{
	uint64_t now_ns = evri_os_now_ns();
	uint64_t until_ns = janitor->answer.retry_ns;

	if (janitor->interval_ns < EVR_NEVER - now_ns &&
	    now_ns + janitor->interval_ns < until_ns)
		until_ns = now_ns + janitor->interval_ns;
	(void)evri_os_timer_set(janitor->timer_fd, until_ns);
}

int evr_janitor_step(struct evr_janitor *janitor, struct evr_recovery_stats *stats)
{
	int result;

	if (!evri_region_is_here(janitor->region))
		return evri_fail(-EINVAL, "the janitor was opened by another process");
	take_readable(janitor);
	unfollow_gone(janitor);
	follow_new(janitor);
	result = evri_answer(&janitor->answer, stats);
	/* Those that were found dead need not say it again. */
	unfollow_gone(janitor);
	set_timer(janitor);
	return result;
}

int evr_janitor_fd(const struct evr_janitor *janitor)
{
	return janitor->poller_fd;
}

static struct evr_janitor *janitor_free(struct evr_janitor *janitor)
{
	evri_os_fd_close(janitor->timer_fd);
	evri_os_fd_close(janitor->poller_fd);
	evri_answer_end(&janitor->answer);
	free(janitor->followers);
	free(janitor);
	return NULL;
}

static int janitor_new(struct evr_region *region, uint64_t interval_ns,
		       struct evr_janitor **ret)
{
	struct evr_janitor *janitor = calloc(1, sizeof(*janitor));
	int error;

	if (!janitor)
		return -ENOMEM;
	janitor->region = region;
	janitor->interval_ns = interval_ns;
	janitor->poller_fd = -1;
	janitor->timer_fd = -1;
	janitor->followers =
		calloc(region->participants_count, sizeof(*janitor->followers));
	error = janitor->followers ? evri_answer_begin(&janitor->answer, region) :
				     -ENOMEM;
	for (uint32_t i = 0; error == 0 && i < region->participants_count; i++)
		janitor->followers[i].pidfd = -1;
	if (error == 0)
		error = evri_os_poller_open(&janitor->poller_fd);
	if (error == 0)
		error = evri_os_timer_open(&janitor->timer_fd);
	if (error == 0)
		error = evri_os_poller_add(janitor->poller_fd, janitor->timer_fd,
					   TIMER_KEY);
	/* The first step is due at once. */
	if (error == 0)
		error = evri_os_timer_set(janitor->timer_fd, 0);
	if (error < 0)
		janitor_free(janitor);
	else
		*ret = janitor;
	return error;
}

static int take_options(const struct evr_janitor_options *options,
			struct evr_janitor_options *known)
{
	int error = 0;

	if (options)
		error = evri_options_take(options, sizeof(options->size), known,
					  sizeof(*known), "janitor");
	if (error < 0)
		return error;
	if (known->flags)
		return evri_fail(-EINVAL, "janitor options: flags %#x, there are none",
				 known->flags);
	if (known->interval_ns == 0)
		known->interval_ns = EVR_JANITOR_INTERVAL_NS;
	if (known->interval_ns < EVR_JANITOR_INTERVAL_MIN_NS)
		return evri_fail(-EINVAL,
				 "janitor options: an interval of %llu ns, at least %llu",
				 (unsigned long long)known->interval_ns,
				 (unsigned long long)EVR_JANITOR_INTERVAL_MIN_NS);
	return 0;
}

int evr_janitor_open(struct evr_region *region, const struct evr_janitor_options *options,
		     struct evr_janitor **ret)
{
	struct evr_janitor_options known = { .size = sizeof(known) };
	struct evr_janitor *janitor;
	int error = take_options(options, &known);

	if (error < 0)
		return error;
	if (!evri_region_is_here(region))
		return evri_fail(-EINVAL, "the region was attached by another process");
	if (region->read_only)
		return evri_fail(-EROFS, "the region is attached for reading");
	error = janitor_new(region, known.interval_ns, &janitor);
	if (error < 0)
		return error;
	error = evri_watch_forbid(region);
	if (error < 0) {
		janitor_free(janitor);
		return evri_fail(error, "this view of the region has a janitor");
	}
	*ret = janitor;
	return 0;
}

struct evr_janitor *evr_janitor_close(struct evr_janitor *janitor)
{
	if (!janitor)
		return NULL;
	/* A child shares the poller with its parent, and takes nothing out of it. */
	bool here = evri_region_is_here(janitor->region);

	for (uint32_t i = 0; i < janitor->region->participants_count; i++) {
		if (here)
			unfollow(janitor, &janitor->followers[i]);
		else
			evri_os_fd_close(janitor->followers[i].pidfd);
	}
	if (here)
		evri_watch_permit(janitor->region);
	return janitor_free(janitor);
}
