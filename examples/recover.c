/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A worker is killed with a request in its hands: the request comes back, intact. */
#include <err.h>
#include <evering/evering.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static struct evr_region *region;
static struct evr_pool *pool;
static struct evr_uring *uring;
static struct evr_agent agent;

static void check(int result)
{
	if (result < 0)
		errx(1, "%s (%s)", evr_strerror(result), evr_error_detail());
}

static int worker(int fd)
{
	struct evr_completer *completer;
	struct evr_request request;

	check(evr_region_attach(fd, &region));
	check(evr_pool_open(region, &pool));
	check(evr_uring_open(pool, NULL, 0, 0, &uring));
	check(evr_agent_open(pool, &agent));
	check(evr_completer_open(uring, &agent, NULL, &completer));
	check(evr_completer_receive(completer, &request, EVR_NEVER));
	if (request.attempts == 0)
		raise(SIGKILL);
	return evr_completer_complete(completer, request.block.token, 0, sizeof(int));
}

int main(void)
{
	struct evr_region_options in = {.size = sizeof(in), .bytes = 1 << 20};
	struct evr_pool_class class = {.payload_bytes = 64, .blocks_count = 64};
	struct evr_pool_options of = {sizeof(of), .classes = &class, .classes_count = 1};
	struct evr_submitter *submitter;
	struct evr_request work = {.length_bytes = sizeof(int)};
	struct evr_completion done = {.status = -EOWNERDEAD};

	check(evr_region_create(&in, &region));
	check(evr_pool_create(region, &of, &pool));
	check(evr_uring_create(pool, NULL, &uring));
	check(evr_agent_open(pool, &agent));
	check(evr_submitter_open(uring, &agent, NULL, &submitter));
	check(evr_block_alloc(&agent, 64, &work.block));
	*(int *)work.block.payload = 42;
	for (; done.status == -EOWNERDEAD; work.block = done.block, work.attempts++) {
		if (fork() == 0)
			_exit(worker(evr_region_fd(region)));
		check(evr_submitter_submit(submitter, &work, EVR_NEVER));
		check(evr_submitter_reap(submitter, &done, EVR_NEVER));
		printf("%d: %s\n", *(int *)done.block.payload, evr_strerror(done.status));
	}
}
