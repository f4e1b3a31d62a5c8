/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* meet_policy.c - whom to deal with. See struct evr_meet_policy. */

#include <stdlib.h>
#include <string.h>

#include "meet_internal.h"
#include "options.h"

#define LIST_MAX 1024

static int copy_list(const uint32_t *list, uint32_t count, const char *what,
		     uint32_t **ret)
{
	if (count == 0)
		return 0;
	if (count > LIST_MAX || !list)
		return evri_fail(-EINVAL, "policy: a list of %u %s; at most %d", count,
				 what, LIST_MAX);
	*ret = malloc(count * sizeof(*list));
	if (!*ret)
		return -ENOMEM;
	memcpy(*ret, list, count * sizeof(*list));
	return 0;
}

int evri_meet_policy_copy(const struct evr_meet_policy *policy, bool root_too,
			  struct evri_meet_policy *ret)
{
	struct evr_meet_policy known = { 0 };
	struct evri_meet_policy copy = { .root_too = root_too };
	int error = 0;

	if (policy)
		error = evri_options_take(policy, offsetof(struct evr_meet_policy, uids),
					  &known, sizeof(known), "policy");
	if (error == 0)
		error = copy_list(known.uids, known.uids_count, "uids", &copy.uids);
	if (error == 0)
		error = copy_list(known.gids, known.gids_count, "gids", &copy.gids);
	if (error < 0) {
		evri_meet_policy_free(&copy);
		return error;
	}
	copy.uids_count = known.uids_count;
	copy.gids_count = known.gids_count;
	copy.allow = known.allow;
	copy.context = known.context;
	*ret = copy;
	return 0;
}

void evri_meet_policy_free(struct evri_meet_policy *policy)
{
	free(policy->uids);
	free(policy->gids);
	policy->uids = NULL;
	policy->gids = NULL;
}

static bool has(const uint32_t *list, uint32_t count, uint32_t wanted)
{
	for (uint32_t i = 0; i < count; i++)
		if (list[i] == wanted)
			return true;
	return false;
}

int evri_meet_policy_ask(const struct evri_meet_policy *policy, int socket_fd,
			 struct evr_credentials *ret_who)
{
	struct evri_os_credentials told;
	struct evr_credentials who;
	uint32_t uid, gid;
	bool listed;
	int error = evri_os_socket_credentials(socket_fd, &told);

	if (error < 0)
		return evri_fail(error,
				 "the kernel does not say who the other side is: %s",
				 strerror(-error));
	who = (struct evr_credentials){ told.pid, told.uid, told.gid };
	*ret_who = who;

	evri_os_own_ids(&uid, &gid);
	listed = who.uid == uid || (policy->root_too && who.uid == 0) ||
		 has(policy->uids, policy->uids_count, who.uid) ||
		 has(policy->gids, policy->gids_count, who.gid);
	if (!listed && policy->gids_count > 0) {
		error = evri_os_socket_in_groups(socket_fd, policy->gids,
						 policy->gids_count);
		if (error < 0)
			return evri_fail(error,
					 "the kernel does not say the groups of "
					 "uid %u: %s",
					 who.uid, strerror(-error));
		listed = error > 0;
	}
	if (policy->allow)
		listed = policy->allow(policy->context, &who, listed);
	if (!listed)
		return evri_fail(-EACCES,
				 "uid %u, gid %u is not allowed by the policy of "
				 "uid %u",
				 who.uid, who.gid, uid);
	return 0;
}
