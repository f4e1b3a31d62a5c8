/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * grow.c - a region and its pool grow under load: a submitter keeps every block that
 * there is in flight, two completers answer, and one process after the other gives them
 * more memory, some of them killed over it. Every block that came is used, every message
 * arrives as it was sent, and nothing is lost at the end.
 */

#include "process.h"

#define PAYLOAD 1024
#define EXTENT_BLOCKS 150
#define EXTENT_BYTES (UINT64_C(256) << 10)
#define BLOCKS_MAX 8192
#define COMPLETERS 2

struct board {
	struct evr_atomic_u32 grown; /* growths that were finished */
	struct evr_atomic_u32 stop;
	struct evr_atomic_u64 answered;
};

static uint64_t word_at(uint64_t operation, uint64_t at)
{
	return (operation + 1) * UINT64_C(0x9e3779b97f4a7c15) + at;
}

static void complete_all(struct view *view, struct board *board)
{
	struct evr_completer *completer;
	struct evr_request request;
	int error;

	MUST(evr_completer_open(view->uring, &view->agent, NULL, &completer) == 0);
	while ((error = evr_completer_receive(completer, &request, EVR_NEVER)) == 0) {
		uint64_t *words = request.block.payload;
		int32_t wrong = 0;

		for (uint64_t i = 0; i < PAYLOAD / 8; i++) {
			wrong += words[i] != word_at(request.operation, i);
			words[i] = ~words[i];
		}
		MUST(evr_completer_complete(completer, request.block.token, wrong,
					    PAYLOAD) == 0);
		evr_fetch_add_relaxed_u64(&board->answered, 1);
	}
	MUST(error == -EPIPE);
	evr_completer_close(completer);
	view_close(view);
}

/* Grows once. It may be killed anywhere in here. */
static void grow(struct view *view, struct board *board)
{
	struct evr_range_options range = { .size = sizeof(range), .bytes = EXTENT_BYTES };
	struct evr_pool_growth growth = {
		.size = sizeof(growth),
		.payload_bytes = PAYLOAD,
		.blocks_count = EXTENT_BLOCKS,
	};

	MUST(evr_region_grow(view->region, &range, &growth.range) == 0);
	MUST(evr_pool_grow(view->pool, &growth) == 0);
	evr_fetch_add_relaxed_u32(&board->grown, 1);
	view_close(view);
}

static int play(const struct role *role)
{
	struct board *board = board_map(role->board_fd, sizeof(*board));
	struct view view = { 0 };

	view_attach(&view, role->region_fd, role->seed);
	if (strcmp(role->name, "completer") == 0)
		complete_all(&view, board);
	else
		grow(&view, board);
	return 0;
}

/* ---- the submitter ---- */

struct load {
	struct view view;
	struct evr_submitter *submitter;
	uint64_t sent;
	uint64_t reaped;
	uint64_t wrong;
	uint32_t most; /* in flight at once */
};

static void reap(struct load *load, uint64_t deadline_ns)
{
	struct evr_completion done;

	if (evr_submitter_reap(load->submitter, &done, deadline_ns) != 0)
		return;
	for (uint64_t i = 0; i < PAYLOAD / 8; i++)
		load->wrong += ((uint64_t *)done.block.payload)[i] !=
			       ~word_at(done.operation, i);
	load->wrong += done.status != 0;
	load->reaped++;
	MUST(evr_block_free(&load->view.agent, done.block.token) == 0);
}

/* As many as there are blocks, then as many as come back. */
static void work(struct load *load)
{
	struct evr_request request = { .operation = load->sent, .length_bytes = PAYLOAD };

	if (evr_block_alloc(&load->view.agent, PAYLOAD, &request.block) < 0) {
		reap(load, now_ns() + SECOND_NS);
		return;
	}
	for (uint64_t i = 0; i < PAYLOAD / 8; i++)
		((uint64_t *)request.block.payload)[i] = word_at(load->sent, i);
	if (evr_submitter_try_submit(load->submitter, &request) < 0) {
		MUST(evr_block_free(&load->view.agent, request.block.token) == 0);
		reap(load, now_ns() + SECOND_NS);
		return;
	}
	load->sent++;
	if (load->sent - load->reaped > load->most)
		load->most = (uint32_t)(load->sent - load->reaped);
}

static void make_all(struct load *load)
{
	struct evr_region_options region = {
		.size = sizeof(region),
		.bytes = UINT64_C(2) << 20,
		.bytes_max = UINT64_C(32) << 20,
	};
	struct evr_pool_class class = { PAYLOAD, 100, 0 };
	struct evr_pool_options pool = {
		.size = sizeof(pool),
		.classes = &class,
		.classes_count = 1,
	};
	struct evr_uring_options uring = {
		.size = sizeof(uring),
		.submission_capacity = BLOCKS_MAX,
		.completion_capacity = BLOCKS_MAX,
		.submitters = 1,
	};

	MUST(evr_region_create(&region, &load->view.region) == 0);
	MUST(evr_pool_create(load->view.region, &pool, &load->view.pool) == 0);
	MUST(evr_uring_create(load->view.pool, &uring, &load->view.uring) == 0);
	MUST(evr_agent_open(load->view.pool, &load->view.agent) == 0);
	MUST(evr_submitter_open(load->view.uring, &load->view.agent, NULL,
				&load->submitter) == 0);
}

static void check(const char *name, bool condition)
{
	if (condition)
		report_ok(name);
	else
		report_not_ok(name, "see the line of figures, and the seed");
}

int main(int argc, char **argv)
{
	struct role role = { .name = "completer" };
	struct load load = { 0 };
	struct board *board;
	pid_t completers[COMPLETERS];
	uint32_t growths = report_quick() ? 6 : 12;
	uint32_t killed = 0;
	bool ended = true;

	if (role_of(argc, argv, &role))
		return play(&role);
	alarm(PROCESS_SECONDS_MAX);
	role.seed = option(argc, argv, "seed", "EVR_SEED", now_ns());
	printf("seed %llu\n", (unsigned long long)role.seed);
	uint64_t random = role.seed;

	make_all(&load);
	role.board_fd = board_create(sizeof(*board));
	board = board_map(role.board_fd, sizeof(*board));
	role.region_fd = inheritable(evr_region_fd(load.view.region));
	for (int i = 0; i < COMPLETERS; i++)
		completers[i] = role_start(&role);

	role.name = "grower";
	for (uint32_t i = 0; i < growths; i++) {
		bool kill_it = i % 3 == 2;
		uint64_t until_ns =
			now_ns() + next_random(&random) % (4 * MILLISECOND_NS);
		pid_t grower = role_start(&role);
		int status;

		while (waitpid(grower, &status, WNOHANG) != grower) {
			work(&load);
			if (kill_it && now_ns() > until_ns)
				kill(grower, SIGKILL);
		}
		killed += WIFSIGNALED(status);
		ended = ended && (WIFSIGNALED(status) ||
				  (WIFEXITED(status) && WEXITSTATUS(status) == 0));
		for (int k = 0; k < 3000; k++)
			work(&load);
	}
	while (load.reaped < load.sent)
		reap(&load, now_ns() + 20 * SECOND_NS);

	uint32_t grown = evr_load_acquire_u32(&board->grown);
	uint32_t blocks = 100 + grown * EXTENT_BLOCKS;

	printf("%llu messages, %u growths, %u killed over one, at most %u in flight\n",
	       (unsigned long long)load.sent, grown, killed, load.most);
	check("those who grow end well, or by the kill", ended);
	check("most growths were finished", grown >= growths / 2);
	check("every message came back as it was sent", load.wrong == 0);
	/* Less what the other side's magazines may hold. */
	check("the blocks that came were used", load.most > blocks - 2 * 64 - 64);

	evr_submitter_close(load.submitter);
	MUST(evr_uring_shutdown(load.view.uring) == 0);
	ended = true;
	for (int i = 0; i < COMPLETERS; i++)
		ended = ended_well(completers[i]) && ended;
	check("the completers end when the uring does", ended);
	check("what the killed ones held comes back",
		     recover_all(&load.view.agent, 20));
	evr_agent_flush(&load.view.agent);

	uint32_t all = evr_pool_blocks(load.view.pool);
	uint32_t free = evr_pool_free_count(load.view.pool);

	if (all >= blocks && free == all)
		report_ok("at the end every block is free");
	else
		report_not_ok("at the end every block is free",
			      "%u of %u, at least %u expected", free, all, blocks);
	view_close(&load.view);
	return report_end();
}
