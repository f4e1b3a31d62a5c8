/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * meeting.c - regions of 2 MiB pages that are handed over a socket, between users who
 * have nothing in common, as Debian's kernel does it: who gets in takes no page, works in
 * it, and is recovered when it dies. One of them has no /proc, so that its lock can only
 * have come in a carrier.
 */

#include "witness.h"

#include <grp.h>
#include <sys/stat.h>

#define BYTES (8 * MIB)
#define MORE_BYTES (4 * MIB)
#define NOBODY 65534
#define SOMEBODY 1000
#define SECOND_NS UINT64_C(1000000000)
/* Emulated, on a busy computer. */
#define PATIENCE_NS (10 * SECOND_NS)

enum { BLOCKS = 64, PAYLOAD_BYTES = 1024, HELD = 20 };

static const char directory[] = "/tmp/meeting";
static const char address[] = "/tmp/meeting/meet";

struct view {
	struct evr_region *region;
	struct evr_pool *pool;
	struct evr_agent agent;
};

struct guest {
	uint32_t uid;
	uint32_t host_uid;
	const char *root; /* to change to, or NULL */
	int socket;
};

static uint64_t deadline(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec + PATIENCE_NS;
}

static void become(uint32_t uid)
{
	if (uid == 0)
		return;
	MUST(setgroups(0, NULL));
	MUST(setgid(uid));
	MUST(setuid(uid));
	/* That clears it. */
	MUST(prctl(PR_SET_PDEATHSIG, SIGKILL));
}

/* ---- the one who comes ---- */

static void connect_as(const struct guest *how, struct view *view)
{
	struct evr_meet_policy policy = {
		.size = sizeof(policy), .uids = &how->host_uid, .uids_count = 1};
	struct evr_connect_options options = {.size = sizeof(options),
					      .address = how->root ? "/meet" : address,
					      .policy = &policy};

	MUST(evr_connect(&options, deadline(), &view->region, NULL));
	MUST(evr_pool_open(view->region, &view->pool));
	MUST(evr_agent_open(view->pool, &view->agent));
}

/* Holds blocks, and says so; when it is told, holds all that there were and one of those
 * that came; when it is told again, dies. Who killed it would have to be its user. */
static void guest(void *context)
{
	const struct guest *how = context;
	struct evr_block block;
	struct view view;

	if (how->root) {
		MUST(chroot(how->root));
		MUST(chdir("/"));
		wrong_if(access("/proc", F_OK) == 0, "there is a /proc");
	}
	become(how->uid);
	connect_as(how, &view);
	wrong_if(evr_region_page_bytes(view.region) != EVR_PAGE_2M,
		 "pages of %" PRIu64 " bytes", evr_region_page_bytes(view.region));
	for (int i = 0; i < BLOCKS + 1; i++) {
		if (i == HELD) {
			nudge(how->socket);
			wrong_if(!nudged(how->socket), "the host is gone");
		}
		MUST(evr_block_alloc(&view.agent, PAYLOAD_BYTES, &block));
		memset(block.payload, 0x5a, PAYLOAD_BYTES);
	}
	nudge(how->socket);
	if (nudged(how->socket))
		kill(getpid(), SIGKILL);
}

/* ---- the one who has the region ---- */

static void open_host(struct view *view)
{
	struct evr_region_options options = region_of("meeting", BYTES, EVR_PAGE_2M);
	struct evr_pool_class class = {PAYLOAD_BYTES, BLOCKS, 0};
	struct evr_pool_options pool = {
		.size = sizeof(pool), .classes = &class, .classes_count = 1};

	options.bytes_max = BYTES + MORE_BYTES;
	options.placement = placed(EVR_POLICY_BIND, "2");
	MUST(evr_region_create(&options, &view->region));
	MUST(evr_pool_create(view->region, &pool, &view->pool));
	MUST(evr_agent_open(view->pool, &view->agent));
}

static struct evr_listener *listen_for(const struct view *view, uint32_t uid)
{
	struct evr_meet_policy policy = {
		.size = sizeof(policy), .uids = &uid, .uids_count = 1};
	struct evr_listen_options options = {.size = sizeof(options),
					     .address = address,
					     .mode = 0666,
					     .policy = &policy};
	struct evr_listener *listener;

	MUST(evr_listen(&options, &listener));
	MUST(evr_listener_add(listener, view->region, ""));
	return listener;
}

static void grow(struct view *view)
{
	struct evr_range_options more = range_of(MORE_BYTES, "1");
	struct evr_pool_growth growth = {.size = sizeof(growth),
					 .payload_bytes = PAYLOAD_BYTES,
					 .blocks_count = BLOCKS};

	MUST(evr_region_grow(view->region, &more, &growth.range));
	MUST(evr_pool_grow(view->pool, &growth));
}

static void expect_dead_and_back(struct view *view)
{
	uint64_t until = deadline();
	int dead = evr_participant_find_dead(view->region);

	while (dead == 0 && deadline() < until + PATIENCE_NS)
		dead = evr_participant_find_dead(view->region);
	wrong_if(dead != 1, "%d are seen dead", dead);
	wrong_if(evr_recover(&view->agent, NULL) != 0, "something was postponed");
	evr_agent_flush(&view->agent);
	wrong_if(evr_pool_free_count(view->pool) != evr_pool_blocks(view->pool),
		 "%u of %u blocks are free", evr_pool_free_count(view->pool),
		 evr_pool_blocks(view->pool));
}

struct pair {
	struct guest guest;
	uint32_t host_uid;
	int to_guest;
	int ready; /* a nudge says that we listen */
};

/* In a process of its own, which need not be root's. */
static void host(void *context)
{
	struct pair *pair = context;
	struct evr_listener *listener;
	struct huge_pages pages;
	struct evr_peer peer;
	struct view view;

	close(pair->guest.socket);
	become(pair->host_uid);
	open_host(&view);
	listener = listen_for(&view, pair->guest.uid);
	pages = huge_pages_now();
	nudge(pair->ready);
	MUST(evr_accept(listener, deadline(), &peer));
	wrong_if(peer.who.uid != pair->guest.uid, "user %u came", peer.who.uid);
	wrong_if(!nudged(pair->to_guest), "the guest did not work");
	expect_huge_pages(&pages);
	evr_listener_close(listener);
	grow(&view);
	pages = huge_pages_now();
	nudge(pair->to_guest);
	wrong_if(!nudged(pair->to_guest), "the guest did not get more");
	expect_huge_pages(&pages);
	nudge(pair->to_guest);
	expect_dead_and_back(&view);
}

static void meet(struct pair *pair)
{
	int talk[2], ready[2];
	pid_t host_child, guest_child;

	make_sockets(talk);
	make_sockets(ready);
	pair->guest.socket = talk[1];
	pair->guest.host_uid = pair->host_uid;
	pair->to_guest = talk[0];
	pair->ready = ready[1];
	host_child = start_child(host, pair);
	close(talk[0]);
	close(ready[1]);
	if (wrong_if(!nudged(ready[0]), "nobody listens"))
		kill_child(host_child);
	guest_child = start_child(guest, &pair->guest);
	close(talk[1]);
	close(ready[0]);
	expect_success(host_child);
	kill_child(guest_child);
}

int main(void)
{
	struct pair root_and_nobody = {.guest = {.uid = NOBODY}};
	struct pair nobody_and_another = {.guest = {.uid = SOMEBODY},
					  .host_uid = NOBODY};
	struct pair without_proc = {.guest = {.uid = NOBODY, .root = directory}};

	begin(60);
	remember();
	/* As /tmp is: both users make their file there. */
	MUST(mkdir(directory, 0700));
	MUST(chmod(directory, 01777));
	meet(&root_and_nobody);
	SETTLE("another user gets into root's region of 2 MiB pages over a socket, takes "
	       "none, follows it when it grows, and is recovered");
	meet(&nobody_and_another);
	SETTLE("two users who are not root meet in a region of 2 MiB pages likewise");
	meet(&without_proc);
	SETTLE("one in a chroot without /proc gets into a region of 2 MiB pages, and is "
	       "recovered");
	MUST(rmdir(directory));
	return report_end();
}
