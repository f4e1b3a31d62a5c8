/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * members.c - who is alive, as Debian's kernel tells it, and processes that meet in a
 * region from namespaces of their own: PID, mount, IPC and user. The region's descriptor
 * is inherited; nothing else is common to them.
 */

#include "witness.h"

#include <linux/close_range.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#define MILLISECOND_NS UINT64_C(1000000)
/* Emulated, on a busy computer. The kernel itself needs microseconds. */
#define DEATH_BOUND_NS (1000 * MILLISECOND_NS)

enum { BLOCKS = 64, PAYLOAD_BYTES = 64 };

struct view {
	struct evr_region *region;
	struct evr_pool *pool;
	struct evr_uring *uring;
	struct evr_agent agent;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 * MILLISECOND_NS + (uint64_t)now.tv_nsec;
}

static void sleep_ms(uint32_t milliseconds)
{
	struct timespec time = {.tv_nsec = milliseconds * (long)MILLISECOND_NS};

	nanosleep(&time, NULL);
}

static struct view create_view(void)
{
	struct evr_region_options options = region_of("members", MIB, EVR_PAGE_4K);
	struct evr_pool_class class = {PAYLOAD_BYTES, BLOCKS, 0};
	struct evr_pool_options pool = {
		.size = sizeof(pool), .classes = &class, .classes_count = 1};
	struct view view = {0};

	MUST(evr_region_create(&options, &view.region));
	MUST(evr_pool_create(view.region, &pool, &view.pool));
	MUST(evr_uring_create(view.pool, NULL, &view.uring));
	MUST(evr_agent_open(view.pool, &view.agent));
	return view;
}

static void attach_view(int fd, struct view *view)
{
	MUST(evr_region_attach(fd, &view->region));
	MUST(evr_pool_open(view->region, &view->pool));
	MUST(evr_uring_open(view->pool, NULL, 0, 0, &view->uring));
	MUST(evr_agent_open(view->pool, &view->agent));
}

static void close_view(struct view *view)
{
	evr_agent_close(&view->agent);
	evr_uring_close(view->uring);
	evr_pool_close(view->pool);
	evr_region_detach(view->region);
}

/* What the kernel says of the member with this attach number, asked now. */
static uint32_t state_of(struct evr_region *region, uint32_t number)
{
	struct evr_participant_info info;

	MUST(evr_participant_find_dead(region));
	for (uint32_t i = 0; i < evr_participant_records(region); i++)
		if (evr_participant_get(region, i, &info) == 0 && info.number == number)
			return info.state;
	return 0;
}

static uint64_t ns_until_dead(struct evr_region *region, uint32_t number)
{
	uint64_t start = now_ns();

	while (state_of(region, number) == EVR_PARTICIPANT_ALIVE &&
	       now_ns() - start < DEATH_BOUND_NS)
		;
	return now_ns() - start;
}

/* ---- a member, and how it is told what to do ---- */

struct member {
	int fd;
	int socket;
	uint32_t *number;
	pid_t *child;
	bool forks;
	bool closes;
};

/* Attaches, takes blocks, says so, and then is what the test wants it to be. */
static void member(void *context)
{
	const struct member *how = context;
	struct view view = {0};
	struct evr_block block;

	attach_view(how->fd, &view);
	for (int i = 0; i < 3; i++)
		MUST(evr_block_alloc(&view.agent, PAYLOAD_BYTES, &block));
	*how->number = evr_region_number(view.region);
	if (how->forks) {
		pid_t child = fork();

		if (child == 0)
			for (;;)
				pause();
		*how->child = child;
	}
	nudge(how->socket);
	if (how->closes) {
		MUST((int)syscall(SYS_close_range, 3, ~0u, 0));
		/* It goes on, with the memory that it has mapped. */
		MUST(evr_block_free(&view.agent, block.token));
		*how->number |= 1u << 31;
	}
	for (;;)
		pause();
}

/* The child's number and its child's PID come through this page. */
static struct member new_member(const struct view *view, int sockets[2])
{
	uint32_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	make_sockets(sockets);
	return (struct member){.fd = evr_region_fd(view->region),
			       .socket = sockets[1],
			       .number = page,
			       .child = (pid_t *)(page + 1)};
}

static pid_t start_member(struct member *how, const int sockets[2])
{
	pid_t child = start_child(member, how);

	close(sockets[1]);
	wrong_if(!nudged(sockets[0]), "the member did not attach");
	return child;
}

static void forget_member(struct member *how, const int sockets[2])
{
	close(sockets[0]);
	munmap(how->number, 4096);
}

static void expect_all_back(struct view *view)
{
	wrong_if(evr_recover(&view->agent, NULL) != 0, "something was postponed");
	evr_agent_flush(&view->agent);
	wrong_if(evr_pool_free_count(view->pool) != BLOCKS, "%u of %u blocks are free",
		 evr_pool_free_count(view->pool), BLOCKS);
}

/* ---- liveness ---- */

static void test_killed_and_stopped(struct view *view)
{
	int sockets[2];
	struct member how = new_member(view, sockets);
	pid_t child = start_member(&how, sockets);
	uint64_t ns;

	kill(child, SIGSTOP);
	waitpid(child, NULL, WUNTRACED);
	for (int i = 0; i < 50; i++) {
		wrong_if(state_of(view->region, *how.number) != EVR_PARTICIPANT_ALIVE,
			 "it is in state %u", state_of(view->region, *how.number));
		sleep_ms(2);
	}
	settle("a stopped member is alive");
	kill(child, SIGKILL);
	/* Not yet reaped: its parent may be anybody. */
	ns = ns_until_dead(view->region, *how.number);
	wrong_if(ns >= DEATH_BOUND_NS, "it is in state %u",
		 state_of(view->region, *how.number));
	wrong_if(waitpid(child, NULL, 0) != child, "it was reaped before");
	expect_all_back(view);
	settle("a killed member, stopped before, is seen dead before it is reaped");
	forget_member(&how, sockets);
}

static void test_forked(struct view *view)
{
	int sockets[2];
	struct member how = new_member(view, sockets);
	pid_t child;

	how.forks = true;
	child = start_member(&how, sockets);
	kill(child, SIGKILL);
	wrong_if(ns_until_dead(view->region, *how.number) >= DEATH_BOUND_NS,
		 "it is in state %u", state_of(view->region, *how.number));
	wrong_if(kill(*how.child, 0) != 0, "its child is gone");
	expect_all_back(view);
	settle("a killed member is dead while a child of it lives");
	kill(*how.child, SIGKILL);
	waitpid(child, NULL, 0);
	forget_member(&how, sockets);
}

static void test_closed(struct view *view)
{
	int sockets[2];
	struct member how = new_member(view, sockets);
	uint32_t number;
	pid_t child;

	how.closes = true;
	child = start_member(&how, sockets);
	for (int i = 0; i < 1000 && !(*(volatile uint32_t *)how.number >> 31); i++)
		sleep_ms(5);
	wrong_if(!(*how.number >> 31), "it did not get so far");
	number = *how.number & ~(1u << 31);
	for (int i = 0; i < 20; i++) {
		wrong_if(state_of(view->region, number) != EVR_PARTICIPANT_ALIVE,
			 "it is in state %u", state_of(view->region, number));
		sleep_ms(2);
	}
	settle("a member that closed all descriptors from 3 on is alive, and works on");
	kill(child, SIGKILL);
	wrong_if(ns_until_dead(view->region, number) >= DEATH_BOUND_NS, "not seen dead");
	waitpid(child, NULL, 0);
	expect_all_back(view);
	settle("a member that closed its descriptors is seen dead when it is killed");
	forget_member(&how, sockets);
}

/* ---- namespaces ---- */

struct guest {
	int fd;
	int socket;
	int flags; /* CLONE_NEW... */
	bool own_proc;
};

/* Answers with its PID until it is killed; holds blocks besides. */
static void serve(const struct guest *how)
{
	struct evr_completer *completer;
	struct evr_request request;
	struct evr_block block;
	struct view view = {0};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	attach_view(how->fd, &view);
	MUST(evr_completer_open(view.uring, &view.agent, NULL, &completer));
	for (int i = 0; i < 5; i++)
		MUST(evr_block_alloc(&view.agent, PAYLOAD_BYTES, &block));
	nudge(how->socket);
	for (;;) {
		MUST(evr_completer_receive(completer, &request, EVR_NEVER));
		/* The second it takes, and dies with it. */
		if (*(int *)request.block.payload == 2) {
			nudge(how->socket);
			for (;;)
				pause();
		}
		*(int *)request.block.payload = -getpid();
		MUST(evr_completer_complete(completer, request.block.token, 0, 4));
	}
}

/* In namespaces of its own: the first process there. */
static void guest(void *context)
{
	const struct guest *how = context;
	pid_t inner;

	if (wrong_if(unshare(how->flags) != 0, "unshare: %s", strerror(errno)))
		return;
	inner = fork();
	if (inner == 0) {
		if (how->own_proc &&
		    (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
		     mount("proc", "/proc", "proc", 0, NULL) != 0))
			wrong_if(true, "mount: %s", strerror(errno));
		else
			serve(how);
		_exit(EXIT_FAILURE);
	}
	waitpid(inner, NULL, 0);
}

/* Submits @word; 1: what comes back; 2: the guest keeps it. */
static void submit(struct evr_submitter *submitter, struct view *view, int word)
{
	struct evr_request request = {.length_bytes = 4};

	MUST(evr_block_alloc(&view->agent, PAYLOAD_BYTES, &request.block));
	*(int *)request.block.payload = word;
	MUST(evr_submitter_submit(submitter, &request, EVR_NEVER));
}

static void reap(struct evr_submitter *submitter, struct evr_completion *ret)
{
	int error = evr_submitter_reap(submitter, ret,
				       now_ns() + 10 * DEATH_BOUND_NS);

	wrong_if(error < 0, "reap: %s (%s)", evr_strerror(error), evr_error_detail());
}

static void meet(struct view *view, struct guest *how)
{
	struct evr_completion done = {0};
	struct evr_submitter *submitter;
	int sockets[2];
	pid_t child;

	make_sockets(sockets);
	how->fd = evr_region_fd(view->region);
	how->socket = sockets[1];
	child = start_child(guest, how);
	close(sockets[1]);
	if (wrong_if(!nudged(sockets[0]), "the guest did not attach"))
		return;
	MUST(evr_submitter_open(view->uring, &view->agent, NULL, &submitter));
	submit(submitter, view, 1);
	reap(submitter, &done);
	if (done.block.payload) {
		wrong_if(*(int *)done.block.payload != -1,
			 "the guest says %d, not that it is the first of its namespace",
			 *(int *)done.block.payload);
		MUST(evr_block_free(&view->agent, done.block.token));
	}
	submit(submitter, view, 2);
	wrong_if(!nudged(sockets[0]), "the guest did not take the request");
	/* The first of a namespace dies with the one that waits for it here. */
	kill_child(child);
	reap(submitter, &done);
	wrong_if(done.status != -EOWNERDEAD, "its request came back with %d",
		 done.status);
	MUST(evr_block_free(&view->agent, done.block.token));
	evr_submitter_close(submitter);
	close(sockets[0]);
	expect_all_back(view);
}

static void test_namespaces(struct view *view)
{
	const int all = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC;
	struct guest outer_proc = {.flags = all};
	struct guest own_proc = {.flags = all, .own_proc = true};

	meet(view, &outer_proc);
	settle("a member in other PID, mount, IPC and user namespaces exchanges, and is "
	       "recovered from here when it dies");
	meet(view, &own_proc);
	settle("a member that has a /proc of its own too does the same");
}

/* The other way round: who created is in other namespaces, and dies there. */
static void creator(void *context)
{
	const struct guest *how = context;
	struct evr_block block;
	struct view view;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (wrong_if(unshare(how->flags) != 0, "unshare: %s", strerror(errno)))
		return;
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		view = create_view();
		for (int i = 0; i < 5; i++)
			MUST(evr_block_alloc(&view.agent, PAYLOAD_BYTES, &block));
		MUST(evr_region_send(view.region, how->socket));
		for (;;)
			pause();
	}
	for (;;)
		pause();
}

static void test_creator_elsewhere(void)
{
	struct guest how = {.flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS |
				     CLONE_NEWIPC};
	struct view view = {0};
	int sockets[2];
	pid_t child;

	make_sockets(sockets);
	how.socket = sockets[1];
	child = start_child(creator, &how);
	MUST(evr_region_receive(sockets[0], &view.region));
	MUST(evr_pool_open(view.region, &view.pool));
	MUST(evr_uring_open(view.pool, NULL, 0, 0, &view.uring));
	MUST(evr_agent_open(view.pool, &view.agent));
	wrong_if(state_of(view.region, 1) != EVR_PARTICIPANT_ALIVE,
		 "the creator is in state %u", state_of(view.region, 1));
	kill_child(child);
	wrong_if(ns_until_dead(view.region, 1) >= DEATH_BOUND_NS, "not seen dead");
	expect_all_back(&view);
	settle("a creator in other namespaces is alive from here until it is killed, and "
	       "then recovered");
	close_view(&view);
	close(sockets[0]);
	close(sockets[1]);
}

int main(void)
{
	struct view view;

	begin(60);
	view = create_view();
	test_killed_and_stopped(&view);
	test_forked(&view);
	test_closed(&view);
	test_namespaces(&view);
	close_view(&view);
	test_creator_elsewhere();
	return report_end();
}
