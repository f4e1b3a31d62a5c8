/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * round_trip.c - messages of 1 byte to 4 MiB to another process and back, in blocks that
 * lie at different addresses in the two; the region is inherited, or comes by a socket.
 */

#include "process.h"

#define LARGEST (UINT64_C(4) << 20)

struct board {
	struct evr_atomic_u64 address; /* of the block in the completer */
};

static const struct evr_pool_class classes[] = {
	{ 64, 64, 0 },	   { 1024, 64, 0 },   { 64 << 10, 16, 0 },
	{ 1 << 20, 4, 0 }, { LARGEST, 2, 0 },
};

static unsigned char byte_at(uint64_t seed, uint64_t at)
{
	return (unsigned char)((at * UINT64_C(0x9e3779b97f4a7c15) + seed) >> 56);
}

static void serve(struct view *view, struct board *board)
{
	struct evr_completer *completer;
	struct evr_request request;
	int error;

	MUST(evr_completer_open(view->uring, &view->agent, NULL, &completer) == 0);
	while ((error = evr_completer_receive(completer, &request, EVR_NEVER)) == 0) {
		unsigned char *bytes = request.block.payload;
		int32_t wrong = 0;
		uint64_t at;

		for (at = 0; at < request.length_bytes; at++) {
			wrong += bytes[at] != byte_at(request.operation, at);
			bytes[at] ^= 0x5a;
		}
		evr_store_release_u64(&board->address, (uintptr_t)bytes);
		MUST(evr_completer_complete(completer, request.block.token, wrong,
					    request.length_bytes) == 0);
	}
	MUST(error == -EPIPE);
	evr_completer_close(completer);
	view_close(view);
}

static int play(const struct role *role)
{
	struct board *board = board_map(role->board_fd, sizeof(*board));
	struct view view = { 0 };

	if (strcmp(role->name, "by-socket") == 0) {
		reserve_gap(role->seed);
		MUST(evr_region_receive(role->region_fd, &view.region) == 0);
		view_open(&view);
	} else {
		view_attach(&view, role->region_fd, role->seed);
	}
	serve(&view, board);
	return 0;
}

/* One message there and back; what was wrong with it, or NULL. */
static const char *round_trip(struct view *view, struct evr_submitter *submitter,
			      struct board *board, uint64_t operation, uint64_t bytes)
{
	struct evr_request request = { .operation = operation,
				       .length_bytes = (uint32_t)bytes };
	struct evr_completion completion;
	unsigned char *payload;
	const char *wrong = NULL;
	uint64_t at;

	if (evr_block_alloc(&view->agent, bytes, &request.block) < 0)
		return "no block";
	payload = request.block.payload;
	for (at = 0; at < bytes; at++)
		payload[at] = byte_at(operation, at);
	if (evr_submitter_submit(submitter, &request, now_ns() + 5 * SECOND_NS) < 0)
		return "not submitted";
	if (evr_submitter_reap(submitter, &completion, now_ns() + 10 * SECOND_NS) < 0)
		return "no answer in 10 s";
	if (completion.status != 0)
		wrong = "it arrived changed";
	if (completion.operation != operation || completion.length_bytes != bytes)
		wrong = "another operation or length came back";
	payload = completion.block.payload;
	for (at = 0; at < bytes && !wrong; at++)
		if (payload[at] != (unsigned char)(byte_at(operation, at) ^ 0x5a))
			wrong = "the answer came back changed";
	if (!wrong && evr_load_acquire_u64(&board->address) == (uintptr_t)payload)
		wrong = "the block has the same address in both processes";
	if (evr_block_free(&view->agent, completion.block.token) < 0)
		wrong = "the block could not be freed";
	return wrong;
}

static void try_sizes(const char *name, struct view *view, struct board *board)
{
	struct evr_submitter *submitter;
	const char *wrong = NULL;
	uint64_t operation = 0;
	uint64_t size = 0;

	MUST(evr_submitter_open(view->uring, &view->agent, NULL, &submitter) == 0);
	for (uint64_t power = 1; power <= LARGEST && !wrong; power *= 2) {
		for (int around = -1; around <= 1 && !wrong; around++) {
			size = power + (uint64_t)around;
			if (size >= 1 && size <= LARGEST)
				wrong = round_trip(view, submitter, board, ++operation,
						   size);
		}
	}
	for (int i = 0; i < (report_quick() ? 500 : 5000) && !wrong; i++) {
		size = 8;
		wrong = round_trip(view, submitter, board, ++operation, size);
	}
	evr_submitter_close(submitter);
	if (wrong)
		report_not_ok(name, "message %llu of %llu bytes: %s",
			      (unsigned long long)operation, (unsigned long long)size,
			      wrong);
	else
		report_ok(name);
}

static void try_way(const char *role_name, const char *name, uint64_t seed)
{
	struct evr_region_options region_options = { .size = sizeof(region_options),
						     .bytes = UINT64_C(16) << 20 };
	struct evr_pool_options pool_options = { .size = sizeof(pool_options),
						 .classes = classes,
						 .classes_count = COUNT_OF(classes) };
	struct role role = { .name = role_name,
			     .board_fd = board_create(sizeof(struct board)),
			     .seed = seed };
	struct board *board = board_map(role.board_fd, sizeof(*board));
	struct view view = { 0 };
	int sockets[2];
	pid_t child;
	int fd;

	MUST(evr_region_create(&region_options, &view.region) == 0);
	MUST(evr_pool_create(view.region, &pool_options, &view.pool) == 0);
	MUST(evr_uring_create(view.pool, NULL, &view.uring) == 0);
	MUST(evr_agent_open(view.pool, &view.agent) == 0);
	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
	fd = inheritable(evr_region_fd(view.region));
	role.region_fd = strcmp(role_name, "by-socket") == 0 ? sockets[1] : fd;
	child = role_start(&role);
	if (role.region_fd == sockets[1])
		MUST(evr_region_send(view.region, sockets[0]) == 0);

	try_sizes(name, &view, board);
	MUST(evr_uring_shutdown(view.uring) == 0);
	if (!ended_well(child))
		report_not_ok("the other process ends well", "it did not (%s)",
			      role_name);
	view_close(&view);
	report_all_free("after the round trips every block is free exactly once", fd);
	close(fd);
	close(sockets[0]);
	close(sockets[1]);
	close(role.board_fd);
}

int main(int argc, char **argv)
{
	struct role role;
	uint64_t seed;

	if (role_of(argc, argv, &role))
		return play(&role);
	seed = option(argc, argv, "seed", "EVR_SEED", now_ns());
	printf("seed: %llu (--seed=N or EVR_SEED=N to repeat)\n",
	       (unsigned long long)seed);
	try_way("by-descriptor",
		"messages of 1 byte to 4 MiB go there and back, the region inherited",
		seed);
	try_way("by-socket",
		"messages of 1 byte to 4 MiB go there and back, the region received",
		seed + 1);
	return report_end();
}
