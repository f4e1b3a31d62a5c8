/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Two processes: the parent asks, the child answers in the same shared memory. */
#include <err.h>
#include <evering/evering.h>
#include <stdio.h>
#include <string.h>
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

static int child(int fd)
{
	struct evr_completer *completer;
	struct evr_request request;

	check(evr_region_attach(fd, &region));
	check(evr_pool_open(region, &pool));
	check(evr_uring_open(pool, NULL, 0, 0, &uring));
	check(evr_agent_open(pool, &agent));
	check(evr_completer_open(uring, &agent, NULL, &completer));
	check(evr_completer_receive(completer, &request, EVR_NEVER));
	printf("child:  received %s\n", (char *)request.block.payload);
	strcpy(request.block.payload, "pong");
	check(evr_completer_complete(completer, request.block.token, 0, 5));
	return 0;
}

int main(void)
{
	struct evr_region_options in = {.size = sizeof(in), .bytes = 1 << 20};
	struct evr_pool_class class = {.payload_bytes = 64, .blocks_count = 64};
	struct evr_pool_options of = {sizeof(of), .classes = &class, .classes_count = 1};
	struct evr_submitter *submitter;
	struct evr_request request = {.length_bytes = 5};
	struct evr_completion done;

	check(evr_region_create(&in, &region));
	check(evr_pool_create(region, &of, &pool));
	check(evr_uring_create(pool, NULL, &uring));
	if (fork() == 0)
		return child(evr_region_fd(region));

	check(evr_agent_open(pool, &agent));
	check(evr_submitter_open(uring, &agent, NULL, &submitter));
	check(evr_block_alloc(&agent, 64, &request.block));
	strcpy(request.block.payload, "ping");
	check(evr_submitter_submit(submitter, &request, EVR_NEVER));
	check(evr_submitter_reap(submitter, &done, EVR_NEVER));
	printf("parent: reaped   %s\n", (char *)done.block.payload);
}
