/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * life.c - evr-bench-life: what a region costs outside of the data path, in a table:
 * creating one, beside what the kernel alone takes for the same pages; attaching to a
 * large one; connecting to a listener, up to the first answer; how long after a kill a
 * submitter who sleeps has its request back, or a program with a janitor its blocks; and
 * what the thread costs that looks after peers which never sleep. bench/README.md says
 * how to read it.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <evering/evering.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define REPETITIONS 101
#define CREATIONS 7
#define LOOKS 5
#define GIB (UINT64_C(1) << 30)
#define ADDRESS "@evr-bench-life"

static double now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void must(int result)
{
	if (result < 0)
		errx(1, "%s (%s)", evr_strerror(result), evr_error_detail());
}

static int ascending(const void *a, const void *b)
{
	double difference = *(const double *)a - *(const double *)b;

	return (difference > 0) - (difference < 0);
}

static void tell(const char *what, double *us, int count)
{
	qsort(us, (size_t)count, sizeof(*us), ascending);
	printf("%-52s %12.1f %12.1f %12.1f\n", what, us[0], us[count / 2],
	       us[count - 1]);
	fflush(stdout);
}

/* ---- creating ---- */

static int create(uint64_t bytes, uint64_t page_bytes, uint32_t flags,
		  struct evr_region **ret)
{
	struct evr_region_options options = {
		.size = sizeof(options),
		.bytes = bytes,
		.page_bytes = page_bytes,
		.flags = flags,
	};

	return evr_region_create(&options, ret);
}

/* The pages alone, by one thread. */
static void bench_kernel(void)
{
	double us[CREATIONS];

	for (int i = 0; i < CREATIONS; i++) {
		int fd = memfd_create("bench", MFD_CLOEXEC);
		void *address;

		if (fd < 0 || ftruncate(fd, GIB) < 0)
			err(1, "memfd");
		address = mmap(NULL, GIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (address == MAP_FAILED)
			err(1, "mmap");
		us[i] = now_us();
		if (madvise(address, GIB, MADV_POPULATE_WRITE) < 0)
			err(1, "the kernel's own pages");
		us[i] = now_us() - us[i];
		munmap(address, GIB);
		close(fd);
	}
	tell("1 GiB of 4 KiB pages, the kernel alone, one thread", us, CREATIONS);
}

static void bench_create(const char *what, uint64_t page_bytes, uint32_t flags)
{
	struct evr_region *region;
	double us[CREATIONS];

	for (int i = 0; i < CREATIONS; i++) {
		us[i] = now_us();
		int error = create(GIB, page_bytes, flags, &region);
		us[i] = now_us() - us[i];
		if (error < 0) {
			printf("%-52s %s\n", what, evr_error_detail());
			return;
		}
		evr_region_detach(region);
	}
	tell(what, us, CREATIONS);
}

/* ---- attaching ---- */

static void bench_attach(const char *what, uint64_t page_bytes, uint32_t flags)
{
	struct evr_region *region, *second;
	double us[REPETITIONS];

	if (create(GIB, page_bytes, flags, &region) < 0) {
		printf("%-52s %s\n", what, evr_error_detail());
		return;
	}
	for (int i = 0; i < REPETITIONS; i++) {
		us[i] = now_us();
		must(evr_region_attach(evr_region_fd(region), &second));
		us[i] = now_us() - us[i];
		evr_region_detach(second);
	}
	tell(what, us, REPETITIONS);
	evr_region_detach(region);
}

/* ---- two processes ---- */

struct view {
	struct evr_region *region;
	struct evr_pool *pool;
	struct evr_uring *uring;
	struct evr_agent agent;
};

static void make(struct view *view)
{
	struct evr_pool_class class = { 64, 64, 0 };
	struct evr_pool_options pool = { sizeof(pool), &class, 1, 0, 0, 0 };

	must(create(UINT64_C(1) << 20, 0, 0, &view->region));
	must(evr_pool_create(view->region, &pool, &view->pool));
	must(evr_uring_create(view->pool, NULL, &view->uring));
	must(evr_agent_open(view->pool, &view->agent));
}

static void join(struct view *view)
{
	must(evr_pool_open(view->region, &view->pool));
	must(evr_uring_open(view->pool, NULL, 0, 0, &view->uring));
	must(evr_agent_open(view->pool, &view->agent));
}

/* Answers for ever; the first requests of @operation 1 are kept. */
static void serve(struct view *view)
{
	struct evr_completer *completer;
	struct evr_request request;

	must(evr_completer_open(view->uring, &view->agent, NULL, &completer));
	while (evr_completer_receive(completer, &request, EVR_NEVER) == 0)
		if (request.operation == 0)
			must(evr_completer_complete(completer, request.block.token, 0,
						    0));
}

static double ask(struct view *view, struct evr_submitter *submitter, uint64_t operation,
		  pid_t victim)
{
	struct evr_request request = { .operation = operation };
	struct evr_completion done;
	double begun;

	must(evr_block_alloc(&view->agent, 64, &request.block));
	must(evr_submitter_submit(submitter, &request, EVR_NEVER));
	if (victim)
		usleep(20000);
	begun = now_us();
	if (victim)
		kill(victim, SIGKILL);
	must(evr_submitter_reap(submitter, &done, EVR_NEVER));
	begun = now_us() - begun;
	must(evr_block_free(&view->agent, done.block.token));
	return begun;
}

/* Never in a waiting call, so that nothing but the locks tells of its end. */
static void serve_awake(struct view *view)
{
	struct evr_completer *completer;
	struct evr_request request;

	must(evr_completer_open(view->uring, &view->agent, NULL, &completer));
	for (;;) {
		if (evr_completer_try_receive(completer, &request) < 0)
			sched_yield();
		else if (request.operation == 0)
			must(evr_completer_complete(completer, request.block.token, 0,
						    0));
	}
}

static pid_t start(const struct view *view, void (*act)(struct view *))
{
	pid_t child = fork();

	if (child == 0) {
		struct view mine;

		must(evr_region_attach(evr_region_fd(view->region), &mine.region));
		join(&mine);
		act(&mine);
		_exit(0);
	}
	return child;
}

static void part(struct view *view)
{
	evr_agent_close(&view->agent);
	evr_uring_close(view->uring);
	evr_pool_close(view->pool);
	evr_region_detach(view->region);
}

static void bench_death(const char *what, void (*act)(struct view *))
{
	double us[REPETITIONS];

	for (int i = 0; i < REPETITIONS; i++) {
		struct evr_submitter *submitter;
		struct view view;
		pid_t child;

		make(&view);
		child = start(&view, act);
		must(evr_submitter_open(view.uring, &view.agent, NULL, &submitter));
		ask(&view, submitter, 0, 0);
		us[i] = ask(&view, submitter, 1, child);
		waitpid(child, NULL, 0);
		evr_submitter_close(submitter);
		part(&view);
	}
	tell(what, us, REPETITIONS);
}

/* Up to the end of the step that brought the request back. */
static double step_until_death(struct evr_janitor *janitor, pid_t victim)
{
	struct pollfd entry = { .fd = evr_janitor_fd(janitor), .events = POLLIN };
	double begun = now_us();
	int dead = 0;

	kill(victim, SIGKILL);
	while (dead == 0) {
		poll(&entry, 1, -1);
		dead = evr_janitor_step(janitor, NULL);
		must(dead);
	}
	return now_us() - begun;
}

static void bench_janitor(void)
{
	double us[REPETITIONS];

	for (int i = 0; i < REPETITIONS; i++) {
		struct evr_request request = { .operation = 1 };
		struct evr_submitter *submitter;
		struct evr_janitor *janitor;
		struct view view;
		pid_t child;

		make(&view);
		must(evr_janitor_open(view.region, NULL, &janitor));
		child = start(&view, serve_awake);
		must(evr_submitter_open(view.uring, &view.agent, NULL, &submitter));
		ask(&view, submitter, 0, 0);
		must(evr_janitor_step(janitor, NULL));
		must(evr_block_alloc(&view.agent, 64, &request.block));
		must(evr_submitter_submit(submitter, &request, EVR_NEVER));
		usleep(20000);
		us[i] = step_until_death(janitor, child);
		waitpid(child, NULL, 0);
		evr_janitor_close(janitor);
		evr_submitter_close(submitter);
		part(&view);
	}
	tell("from a kill to the end of a janitor's step", us, REPETITIONS);
}

static double cpu_us(void)
{
	struct rusage used;

	getrusage(RUSAGE_SELF, &used);
	return (double)used.ru_utime.tv_sec * 1e6 + (double)used.ru_utime.tv_usec +
	       (double)used.ru_stime.tv_sec * 1e6 + (double)used.ru_stime.tv_usec;
}

static void wait_for_stop(struct view *view)
{
	(void)view;
	for (;;)
		pause();
}

/* A process whose thread watches and does nothing else, for a second, beside one that
 * never slept, or beside one whose thread can be watched. */
static void bench_looking_after(const char *what, void (*act)(struct view *))
{
	double us[LOOKS];

	for (int i = 0; i < LOOKS; i++) {
		struct evr_completer *completer;
		struct evr_request request;
		struct view view;
		pid_t child;

		make(&view);
		child = start(&view, act);
		must(evr_completer_open(view.uring, &view.agent, NULL, &completer));
		if (evr_completer_receive(completer, &request, 1) != -ETIMEDOUT)
			errx(1, "somebody asks");
		usleep(100000);
		us[i] = cpu_us();
		usleep(1000000);
		us[i] = cpu_us() - us[i];
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		evr_completer_close(completer);
		part(&view);
	}
	tell(what, us, LOOKS);
}

static void listen_and_serve(int ready)
{
	struct evr_listen_options options = { .size = sizeof(options),
					      .address = ADDRESS };
	struct evr_listener *listener;
	struct evr_peer peer;
	struct view view;

	make(&view);
	must(evr_listen(&options, &listener));
	must(evr_listener_add(listener, view.region, ""));
	start(&view, serve);
	if (write(ready, "", 1) != 1)
		_exit(1);
	for (;;)
		must(evr_accept(listener, EVR_NEVER, &peer));
}

static void bench_connect(void)
{
	struct evr_connect_options options = { .size = sizeof(options),
					       .address = ADDRESS };
	double us[REPETITIONS];
	int pipes[2];
	pid_t child;
	char byte;

	if (pipe(pipes) < 0)
		err(1, "pipe");
	child = fork();
	if (child == 0) {
		setpgid(0, 0);
		listen_and_serve(pipes[1]);
	}
	close(pipes[1]);
	if (read(pipes[0], &byte, 1) != 1)
		errx(1, "no listener");
	for (int i = 0; i < REPETITIONS; i++) {
		struct evr_submitter *submitter;
		struct evr_peer peer;
		struct view view;

		us[i] = now_us();
		must(evr_connect(&options, EVR_NEVER, &view.region, &peer));
		join(&view);
		must(evr_submitter_open(view.uring, &view.agent, NULL, &submitter));
		ask(&view, submitter, 0, 0);
		us[i] = now_us() - us[i];
		evr_submitter_close(submitter);
		part(&view);
	}
	kill(-child, SIGKILL);
	waitpid(child, NULL, 0);
	tell("from connecting to the first answer", us, REPETITIONS);
}

int main(void)
{
	printf("%-52s %12s %12s %12s\n", "microseconds", "minimum", "median", "maximum");
	bench_kernel();
	bench_create("1 GiB of 4 KiB pages, created", EVR_PAGE_4K, 0);
	bench_create("1 GiB of transparent huge pages, created", EVR_PAGE_4K,
		     EVR_REGION_TRANSPARENT);
	bench_create("1 GiB of 2 MiB pages, created", EVR_PAGE_2M, 0);
	bench_attach("1 GiB of 4 KiB pages, attached to", EVR_PAGE_4K, 0);
	bench_attach("1 GiB of transparent huge pages, attached to", EVR_PAGE_4K,
		     EVR_REGION_TRANSPARENT);
	bench_attach("1 GiB of 2 MiB pages, attached to", EVR_PAGE_2M, 0);
	bench_connect();
	bench_death("from a completer's kill to its request, submitter asleep", serve);
	bench_death("the same, the completer never slept", serve_awake);
	bench_janitor();
	bench_looking_after("CPU time a second, watching one that sleeps", serve);
	bench_looking_after("the same, one that never slept", wait_for_stop);
	return 0;
}
