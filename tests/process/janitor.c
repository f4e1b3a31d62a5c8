/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * janitor.c - who answers a death when nobody calls evr_recover(): the thread that sleeps
 * with a sleeper, and the event loop of a program that has no thread.
 */

#include "process.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>

#include "pool_internal.h"

#define BLOCKS 256
#define HELD 40
#define PATIENCE_S 10

struct board {
	struct evr_atomic_u32 ready; /* children that are where they are to be killed */
	struct evr_atomic_u32 stop;
};

static struct board *board;

/* ---- a region ---- */

static void make(struct view *view)
{
	struct evr_region_options options = { .size = sizeof(options),
					      .bytes = UINT64_C(1) << 20 };
	static const struct evr_pool_class classes[] = { { 64, BLOCKS, 0 } };
	struct evr_pool_options pool = { .size = sizeof(pool),
					 .classes = classes,
					 .classes_count = 1 };

	memset(view, 0, sizeof(*view));
	MUST(evr_region_create(&options, &view->region) == 0);
	MUST(evr_pool_create(view->region, &pool, &view->pool) == 0);
	MUST(evr_uring_create(view->pool, NULL, &view->uring) == 0);
	MUST(evr_agent_open(view->pool, &view->agent) == 0);
}

static bool all_free(const struct evr_pool *pool)
{
	uint64_t until_ns = now_ns() + PATIENCE_S * SECOND_NS;

	while (evr_pool_free_count(pool) != evr_pool_blocks(pool)) {
		if (now_ns() > until_ns)
			return false;
		sleep_us(500);
	}
	return true;
}

static bool can_watch(void)
{
	struct evri_os_waited waited = { .word = &(uint32_t){ 1 }, .expected = 0 };

	return evri_os_wait_any(&waited, 1, EVR_NEVER) == 0;
}

static int threads(void)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *entry;
	int count = 0;

	MUST(tasks);
	while ((entry = readdir(tasks)) != NULL)
		count += entry->d_name[0] != '.';
	closedir(tasks);
	return count;
}

/* ---- children ---- */

static pid_t start(int fd, void (*act)(struct view *view), bool in_namespaces)
{
	uint32_t before = evr_load_acquire_u32(&board->ready);
	uint64_t until_ns = now_ns() + PATIENCE_S * SECOND_NS;
	pid_t child = fork();
	int status;

	MUST(child >= 0);
	if (child == 0) {
		struct view view;

		alarm(PROCESS_SECONDS_MAX);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (in_namespaces) {
			if (unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS |
				    CLONE_NEWIPC) < 0)
				_exit(77);
			child = fork();
			if (child) {
				waitpid(child, NULL, 0);
				_exit(0);
			}
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			MUST(getpid() == 1);
		}
		view_attach(&view, fd, (uint64_t)getpid());
		act(&view);
		_exit(0);
	}
	while (evr_load_acquire_u32(&board->ready) == before && now_ns() < until_ns) {
		if (waitpid(child, &status, WNOHANG) == child)
			return WIFEXITED(status) && WEXITSTATUS(status) == 77 ? -1 : 0;
		sleep_us(100);
	}
	return child;
}

static void kill_and_wait(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

static void is_ready(void)
{
	evr_fetch_add_acq_rel_u32(&board->ready, 1);
}

static void hold(struct view *view)
{
	struct evr_block block;

	for (int i = 0; i < HELD; i++)
		MUST(evr_block_alloc(&view->agent, 64, &block) == 0);
}

static void hold_and_pause(struct view *view)
{
	hold(view);
	is_ready();
	for (;;)
		pause();
}

/* Sleeps once in a waiting call, so that its thread begins, and does nothing more. */
static void doze(struct view *view)
{
	struct evr_completer *completer;
	struct evr_request request;

	MUST(evr_completer_open(view->uring, &view->agent, NULL, &completer) == 0);
	MUST(evr_completer_receive(completer, &request, now_ns() + MILLISECOND_NS) ==
	     -ETIMEDOUT);
	evr_completer_close(completer);
}

static void doze_and_pause(struct view *view)
{
	doze(view);
	hold_and_pause(view);
}

static void hold_and_spin(struct view *view)
{
	struct evr_completer *completer;
	struct evr_request request;

	MUST(evr_completer_open(view->uring, &view->agent, NULL, &completer) == 0);
	hold(view);
	is_ready();
	while (evr_completer_try_receive(completer, &request) == -EAGAIN)
		evr_pause();
}

/* Nothing of its own but the thread. */
static void watch_and_pause(struct view *view)
{
	doze(view);
	evr_agent_flush(&view->agent);
	is_ready();
	for (;;)
		pause();
}

/* ---- the thread answers ---- */

/* Two processes whose threads watch and who do nothing else; this one only looks. */
static void try_threads(const char *name, void (*act)(struct view *view))
{
	struct view view;
	struct evr_region *reader;
	struct evr_pool *pool;
	pid_t watchers[2];
	int rounds = report_quick() ? 5 : 20;
	int back = 0;
	int fd;

	if (!can_watch()) {
		report_skip(name, "this kernel has no futex_waitv()",
			    "Linux 5.16 or newer");
		return;
	}
	make(&view);
	fd = inheritable(evr_region_fd(view.region));
	for (int i = 0; i < 2; i++)
		watchers[i] = start(fd, watch_and_pause, false);
	view_close(&view);
	MUST(evr_region_attach_read_only(fd, &reader) == 0);
	MUST(evr_pool_open(reader, &pool) == 0);
	for (int i = 0; i < rounds; i++) {
		pid_t victim = start(fd, act, false);

		MUST(evr_pool_free_count(pool) <= BLOCKS - HELD);
		kill_and_wait(victim);
		if (!all_free(pool))
			break;
		back++;
	}
	if (back == rounds)
		report_ok(name);
	else
		report_not_ok(name, "%d of %d times", back, rounds);
	evr_pool_close(pool);
	evr_region_detach(reader);
	for (int i = 0; i < 2; i++)
		kill_and_wait(watchers[i]);
	close(fd);
}

/* ---- the event loop answers ---- */

/* Waits for the descriptor and steps until somebody was found dead. */
static int answer(struct evr_janitor *janitor, struct evr_recovery_stats *stats)
{
	struct pollfd entry = { .fd = evr_janitor_fd(janitor), .events = POLLIN };
	uint64_t until_ns = now_ns() + PATIENCE_S * SECOND_NS;

	while (now_ns() < until_ns) {
		int dead;

		if (poll(&entry, 1, PATIENCE_S * 1000) != 1)
			return -ETIMEDOUT;
		dead = evr_janitor_step(janitor, stats);
		if (dead != 0)
			return dead;
	}
	return -ETIMEDOUT;
}

/* One whose end no descriptor tells: its PID means another here. */
static void try_namespaces(const char *name)
{
	struct evr_recovery_stats stats = { 0 };
	struct evr_janitor *janitor;
	struct view view;
	pid_t child;
	int dead;

	make(&view);
	MUST(evr_janitor_open(view.region, NULL, &janitor) == 0);
	child = start(evr_region_fd(view.region), hold_and_pause, true);
	if (child < 0) {
		report_skip(name, "no namespaces for this process",
			    "sysctl user.max_user_namespaces, or run as root");
	} else {
		MUST(evr_janitor_step(janitor, NULL) == 0);
		kill_and_wait(child);
		dead = answer(janitor, &stats);
		if (dead == 1 && stats.finished == 1 &&
		    evr_pool_free_count(view.pool) == BLOCKS)
			report_ok(name);
		else
			report_not_ok(name, "step gave %d, %u of %u blocks are free",
				      dead, evr_pool_free_count(view.pool), BLOCKS);
	}
	evr_janitor_close(janitor);
	view_close(&view);
}

/* Without any waiting call, so that nobody but the loop answers. */
static void serve_until(struct view *view, uint64_t kept)
{
	struct evr_completer *completer;
	struct evr_request request;

	MUST(evr_completer_open(view->uring, &view->agent, NULL, &completer) == 0);
	is_ready();
	for (;;) {
		if (evr_completer_try_receive(completer, &request) < 0) {
			sleep_us(20);
			continue;
		}
		while (request.operation % 50 == kept)
			pause();
		MUST(evr_completer_complete(completer, request.block.token, 0, 0) == 0);
	}
}

/* Keeps one in fifty until it is killed. */
static void serve(struct view *view)
{
	serve_until(view, 49);
}

static void serve_all(struct view *view)
{
	serve_until(view, 50);
}

struct loop {
	struct view view;
	struct evr_submitter *submitter;
	struct evr_janitor *janitor;
	uint64_t sent;
	uint64_t done;
	uint64_t died; /* came home with -EOWNERDEAD */
	uint64_t deaths;
	bool sending;
};

static void loop_once(struct loop *loop)
{
	struct pollfd entry = { .fd = evr_janitor_fd(loop->janitor), .events = POLLIN };
	struct evr_request request = { .operation = loop->sent };
	struct evr_completion done;

	if (loop->sending && loop->sent - loop->done < 8 &&
	    evr_block_alloc(&loop->view.agent, 64, &request.block) == 0) {
		MUST(evr_submitter_try_submit(loop->submitter, &request) == 0);
		loop->sent++;
	}
	if (poll(&entry, 1, 0) == 1) {
		int dead = evr_janitor_step(loop->janitor, NULL);

		MUST(dead >= 0);
		loop->deaths += (uint64_t)dead;
	}
	while (evr_submitter_try_reap(loop->submitter, &done) == 0) {
		loop->died += done.status == -EOWNERDEAD;
		loop->done++;
		MUST(evr_block_free(&loop->view.agent, done.block.token) == 0);
	}
	sched_yield();
}

static void loop_until(struct loop *loop, uint64_t done, uint64_t deaths,
		       uint64_t milliseconds)
{
	uint64_t until_ns = now_ns() + milliseconds * MILLISECOND_NS;

	while ((loop->done < done || loop->deaths < deaths) && now_ns() < until_ns)
		loop_once(loop);
}

/* No call here waits, none looks for the dead, and completers keep dying. */
static void try_loop(const char *answers, const char *alone)
{
	struct loop loop = { 0 };
	uint64_t kills = report_quick() ? 10 : 50;
	int most = 0;
	pid_t children[3];
	pid_t last;
	int fd;

	make(&loop.view);
	fd = evr_region_fd(loop.view.region);
	MUST(evr_submitter_open(loop.view.uring, &loop.view.agent, NULL,
				&loop.submitter) == 0);
	MUST(evr_janitor_open(loop.view.region, NULL, &loop.janitor) == 0);
	loop.sending = true;
	for (int i = 0; i < 3; i++)
		children[i] = start(fd, serve, false);
	for (uint64_t i = 0; i < kills; i++) {
		int count = threads();

		most = count > most ? count : most;
		loop_until(&loop, loop.done + 60, 0, 50);
		kill_and_wait(children[i % 3]);
		/* Who opens a completer recovers, too. */
		loop_until(&loop, 0, i + 1, 1000 * PATIENCE_S);
		children[i % 3] = start(fd, serve, false);
	}
	loop.sending = false;
	for (int i = 0; i < 3; i++)
		kill_and_wait(children[i]);
	/* These and those before are answered; what nobody had received is served. */
	loop_until(&loop, 0, kills + 3, 1000 * PATIENCE_S);
	last = start(fd, serve_all, false);
	loop_until(&loop, loop.sent, 0, 1000 * PATIENCE_S);
	kill_and_wait(last);
	loop_until(&loop, loop.sent, kills + 4, 1000 * PATIENCE_S);
	evr_janitor_close(loop.janitor);
	evr_submitter_close(loop.submitter);
	evr_agent_flush(&loop.view.agent);
	if (loop.deaths == kills + 4 && loop.died > 0 && loop.done == loop.sent &&
	    evr_pool_free_count(loop.view.pool) == BLOCKS)
		report_ok(answers);
	else
		report_not_ok(answers,
			      "%llu of %llu deaths, %llu of %llu requests came home, "
			      "%llu of them of the dead, %u of %u blocks are free",
			      (unsigned long long)loop.deaths,
			      (unsigned long long)kills + 4,
			      (unsigned long long)loop.done,
			      (unsigned long long)loop.sent,
			      (unsigned long long)loop.died,
			      evr_pool_free_count(loop.view.pool), BLOCKS);
	if (most == 1)
		report_ok(alone);
	else
		report_not_ok(alone, "%d threads", most);
	view_close(&loop.view);
}

/* ---- one process, for ThreadSanitizer ---- */

static struct view stage;

static void *take_and_give(void *unused)
{
	struct evr_agent agent;
	struct evr_block block;

	(void)unused;
	MUST(evr_agent_open(stage.pool, &agent) == 0);
	while (!evr_load_acquire_u32(&board->stop)) {
		if (evr_block_alloc(&agent, 64, &block) < 0)
			continue;
		memset(block.payload, 1, 64);
		MUST(evr_block_free(&agent, block.token) == 0);
	}
	evr_agent_close(&agent);
	return NULL;
}

static void *sleep_again_and_again(void *unused)
{
	struct evr_agent agent;
	struct evr_completer *completer;
	struct evr_request request;

	(void)unused;
	MUST(evr_agent_open(stage.pool, &agent) == 0);
	MUST(evr_completer_open(stage.uring, &agent, NULL, &completer) == 0);
	while (!evr_load_acquire_u32(&board->stop))
		(void)!evr_completer_receive(completer, &request,
					     now_ns() + 5 * MILLISECOND_NS);
	evr_completer_close(completer);
	evr_agent_close(&agent);
	return NULL;
}

/* One that leaves without closing anything, held by the same process. */
static void leave_something(void)
{
	struct evr_region *region;
	struct evr_pool *pool;
	struct evr_agent agent;
	struct evr_block block;

	MUST(evr_region_attach(evr_region_fd(stage.region), &region) == 0);
	MUST(evr_pool_open(region, &pool) == 0);
	MUST(evr_agent_open(pool, &agent) == 0);
	for (int i = 0; i < 10; i++)
		(void)!evr_block_alloc(&agent, 64, &block);
	evr_region_detach(region);
	/* The view's own memory, which a process that ends would not need to free. */
	free(agent.magazines);
	evri_pool_free(pool);
}

/* While they work and sleep: the thread answers, then a janitor, in turn. */
static void try_one_process(const char *name)
{
	int rounds = report_quick() ? 20 : 60;
	struct evr_janitor *janitor;
	pthread_t others[2];
	uint64_t until_ns;

	make(&stage);
	evr_agent_flush(&stage.agent);
	MUST(pthread_create(&others[0], NULL, take_and_give, NULL) == 0);
	MUST(pthread_create(&others[1], NULL, sleep_again_and_again, NULL) == 0);
	for (int i = 0; i < rounds; i++) {
		leave_something();
		if (i % 4 != 3)
			continue;
		MUST(evr_janitor_open(stage.region, NULL, &janitor) == 0);
		leave_something();
		MUST(evr_janitor_step(janitor, NULL) >= 0);
		evr_janitor_close(janitor);
	}
	until_ns = now_ns() + PATIENCE_S * SECOND_NS;
	while (evr_participant_find_dead(stage.region) > 0 && now_ns() < until_ns)
		sleep_us(500);
	evr_store_release_u32(&board->stop, 1);
	pthread_join(others[0], NULL);
	pthread_join(others[1], NULL);
	if (evr_participant_find_dead(stage.region) == 0 && all_free(stage.pool))
		report_ok(name);
	else
		report_not_ok(name, "%d are dead, %u of %u blocks are free",
			      evr_participant_find_dead(stage.region),
			      evr_pool_free_count(stage.pool), BLOCKS);
	view_close(&stage);
}

int main(int argc, char **argv)
{
	int board_fd = board_create(sizeof(*board));

	alarm(PROCESS_SECONDS_MAX);
	board = board_map(board_fd, sizeof(*board));
	try_one_process("what threads and a janitor bring back goes to others at once");
	if (argc > 1 && strcmp(argv[1], "--threads") == 0)
		return report_end();
	try_threads("what killed sleepers held comes back while all the others sleep",
		    doze_and_pause);
	try_threads("what killed spinners held comes back while all the others sleep",
		    hold_and_spin);
	try_namespaces("a janitor answers a death in another PID namespace");
	try_loop("a loop that never waits gets back all that its dead completers held",
		 "a process with a janitor has no thread of ours");
	return report_end();
}
