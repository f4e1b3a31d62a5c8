/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * meet_named.c - opening and closing a name: who makes its region. See <evering/named.h>;
 * what a member does afterwards is in meet_stand.c.
 *
 * Two things keep the regions of a name apart. The place (meet_place.c) has one listener
 * at any time. The lock is a byte of the place's directory, held by each member that
 * could serve, as long as it lives.
 *
 *	- A joiner takes the lock, tells the listener that it is in, and is a member when
 *	  the listener has answered to that. So it had the lock while that listener was
 *	  at the place.
 *	- A creator takes the place, and then looks at the lock. Whoever became a member
 *	  through an earlier listener is seen, and through a later one there is none, for
 *	  the place is taken. If the lock is held the creator gives the place up again.
 *	- A member that takes the place over holds the lock already.
 *
 * So a creator who finds no lock finds no member, and none comes into being until it
 * offers a region. Who holds the lock without being a member yet makes a creator wait in
 * vain, for as long as it takes him to see that his listener is gone.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meet_named.h"
#include "options.h"

#define MEMBER_BYTE_MASK (UINT64_MAX >> 2)
#define STANDBYS_MAX	 4096

/* Of a try that came to nothing because of somebody else: worth another. */
#define AGAIN 1

/* ---- options ---- */

static int check_options(const struct evr_named_options *options,
			 struct evr_named_options *ret)
{
	struct evr_named_options known = {0};
	int error = evri_options_take(options, offsetof(struct evr_named_options, create),
				      &known, sizeof(known), "named");

	if (error < 0)
		return error;
	if (!known.name == !known.address || (known.address && known.address[0] != '/'))
		return evri_fail(-EINVAL, "named options: a name or an absolute path, "
					  "one of the two");
	if (known.flags & ~(uint32_t)EVR_NAMED_VISITOR)
		return evri_fail(-EINVAL, "named options: unknown flags %#x",
				 known.flags);
	if (known.mode > 0777 || known.standbys > STANDBYS_MAX)
		return evri_fail(-EINVAL,
				 "named options: mode %#o, standbys %u: at most 0777 and "
				 "%d",
				 known.mode, known.standbys, STANDBYS_MAX);
	if (known.flags & EVR_NAMED_VISITOR && known.create)
		return evri_fail(-EINVAL, "named options: a visitor makes no region");
	*ret = known;
	return 0;
}

/* The path, its directory and the byte in it. */
static int find_place(struct evr_named *named, const struct evr_named_options *options)
{
	char directory[sizeof(named->address)];
	const char *base;
	int error = 0;

	if (options->name)
		error = evr_meet_path(options->name, named->address,
				      sizeof(named->address));
	else if (strlen(options->address) >= sizeof(named->address))
		error = evri_fail(-ENAMETOOLONG,
				  "%s: a socket's path has at most %zu "
				  "bytes",
				  options->address, sizeof(named->address) - 1);
	else
		strcpy(named->address, options->address);
	if (error < 0)
		return error;
	base = strrchr(named->address, '/') + 1;
	named->byte = evri_meet_hash(base, strlen(base)) & MEMBER_BYTE_MASK;
	memcpy(directory, named->address, (size_t)(base - named->address));
	directory[base - named->address] = '\0';

	pthread_mutex_lock(&named->lock);
	error = evri_os_place_open_for_locks(directory, &named->directory_fd);
	pthread_mutex_unlock(&named->lock);
	if (error < 0)
		return evri_fail(error, "the directory of %s cannot be read: %s",
				 named->address, strerror(-error));
	return 0;
}

static int make_named(const struct evr_named_options *options, struct evr_named **ret)
{
	struct evr_named *named = calloc(1, sizeof(*named));
	int error = named ? 0 : -ENOMEM;

	if (error == 0)
		error = evri_meet_lock_init(&named->lock);
	if (error < 0) {
		free(named);
		return error;
	}
	named->pid = evri_os_pid();
	named->directory_fd = named->connection_fd = -1;
	named->poller_fd = named->stop_fd = -1;
	named->mode = options->mode;
	named->has_gid = options->has_gid;
	named->gid = options->gid;
	named->standbys = options->standbys;
	error = evri_named_watch_forks(named);
	if (error == 0)
		error = evri_meet_policy_copy(options->policy, true, &named->lists);
	if (error == 0)
		error = find_place(named, options);
	named->policy = (struct evr_meet_policy){.size = sizeof(named->policy),
						 .uids = named->lists.uids,
						 .uids_count = named->lists.uids_count,
						 .gids = named->lists.gids,
						 .gids_count = named->lists.gids_count,
						 .allow = named->lists.allow,
						 .context = named->lists.context};
	if (error == 0)
		*ret = named;
	else
		evr_named_close(named);
	return error;
}

/* ---- getting in ---- */

static int join(struct evr_named *named, bool visitor, uint64_t deadline_ns)
{
	struct evr_connect_options options = evri_named_connect_options(named);
	struct evri_meet_stand stand = {.directory_fd = named->directory_fd,
					.byte = named->byte,
					.connection_fd = -1};
	struct evr_peer peer;
	int error = evri_meet_connect(&options, deadline_ns, visitor ? NULL : &stand,
				      &named->region, &peer);

	if (error < 0)
		return error;
	pthread_mutex_lock(&named->lock);
	named->connection_fd = stand.connection_fd;
	pthread_mutex_unlock(&named->lock);
	named->rank = stand.rank;
	return 0;
}

/* Does a member live who could serve? Then AGAIN. */
static int look_for_members(const struct evr_named *named)
{
	int held = evri_os_place_locked(named->directory_fd, named->byte);

	if (held < 0)
		return evri_fail(held, "%s: no lock in its directory: %s", named->address,
				 strerror(-held));
	if (held > 0)
		evri_fail_detail("%s: members of its region live, and none of them "
				 "listens there: stopped, or about to",
				 named->address);
	return held > 0 ? AGAIN : 0;
}

static int make_region(struct evr_named *named, const struct evr_named_options *options)
{
	int error = evri_os_place_lock(named->directory_fd, named->byte);

	if (error == 0)
		error = evr_region_create(options->create, &named->region);
	if (error == 0 && options->setup)
		error = options->setup(options->context, named->region);
	if (error >= 0)
		error = evr_listener_add(named->listener, named->region, "");
	return error;
}

static int create(struct evr_named *named, const struct evr_named_options *options)
{
	/* Only not to be in the way of members; what counts is the look that follows. */
	int error = look_for_members(named);

	if (error == 0)
		error = evri_named_listen(named);
	if (error == -EADDRINUSE || error == -EBUSY)
		return AGAIN;
	if (error != 0)
		return error;
	error = look_for_members(named);
	if (error == 0)
		error = make_region(named, options);
	if (error == 0) {
		named->created = true;
		return 0;
	}
	evri_named_give_up_place(named);
	named->region = evr_region_detach(named->region);
	evri_os_place_unlock(named->directory_fd, named->byte);
	return error;
}

/* One try. */
static int get_in(struct evr_named *named, const struct evr_named_options *options,
		  uint64_t deadline_ns)
{
	int error = join(named, options->flags & EVR_NAMED_VISITOR, deadline_ns);

	if (error == -EPIPE || error == -EBUSY)
		return AGAIN;
	if (error != -ENOENT && error != -ECONNREFUSED)
		return error;
	if (options->create)
		return create(named, options);
	error = look_for_members(named);
	if (error != 0)
		return error;
	return evri_fail(deadline_ns == 0 ? -ENOENT : AGAIN, "%s: nobody has made it yet",
			 named->address);
}

static int get_in_by(struct evr_named *named, const struct evr_named_options *options,
		     uint64_t deadline_ns)
{
	for (uint32_t tries = 0;; tries++) {
		int error = get_in(named, options, deadline_ns);

		if (error != AGAIN)
			return error;
		/* At least one more, for what was in the way may have been a race. */
		if (tries > 0 && evri_os_now_ns() >= deadline_ns)
			return -ETIMEDOUT;
		evri_os_pause(evri_named_pause_ns(tries));
	}
}

int evr_named_open(const struct evr_named_options *user_options, uint64_t deadline_ns,
		   struct evr_named **ret_named)
{
	struct evr_named_options options;
	struct evr_named *named = NULL;
	int error = check_options(user_options, &options);

	if (error == 0)
		error = make_named(&options, &named);
	if (error < 0)
		return error;
	error = get_in_by(named, &options, deadline_ns);
	if (error == 0 && !(options.flags & EVR_NAMED_VISITOR))
		error = evri_named_stand(named);
	if (error < 0)
		evr_named_close(named);
	else
		*ret_named = named;
	return error;
}

struct evr_region *evr_named_region(const struct evr_named *named)
{
	return named->region;
}

bool evr_named_was_created(const struct evr_named *named)
{
	return named->created;
}

struct evr_named *evr_named_close(struct evr_named *named)
{
	if (!named)
		return NULL;
	evri_named_stand_down(named);
	evr_region_detach(named->region);
	evri_named_let_go(named);
	evri_os_fork_forget(&named->forked);
	evri_meet_policy_free(&named->lists);
	pthread_mutex_destroy(&named->lock);
	free(named);
	return NULL;
}
