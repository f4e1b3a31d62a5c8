/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * conform_channel.c - the rings of a uring for the conformance suite.
 *
 * The submission ring: submitters push, completers pop and answer at once. The completion
 * ring of a home: its submitter has as many requests on their way as its window, all the
 * time; a completer that answers one pushes, the submitter that reaps it pops (and sends
 * it out again).
 */

#include "conform.h"

/* A large ring is not filled: that would want as many blocks. */
#define REQUESTS_MAX 256
#define COMPLETIONS_MAX UINT32_C(512)

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static int create(const struct kind *kind, struct peer *peer, const char *name,
		  struct evr_uring_options options)
{
	struct evr_uring *uring;
	int error;

	(void)kind;
	options.size = sizeof(options);
	options.name = name;
	error = evr_uring_create(peer->pool, &options, &uring);
	if (error == 0)
		evr_uring_close(uring);
	return error;
}

/* Answers have more room than requests, so the ring is full before the window is. */
static int create_submission(const struct kind *kind, struct peer *peer,
			     const char *name, uint32_t order)
{
	return create(kind, peer, name,
		      (struct evr_uring_options){
			      .submission_capacity = UINT32_C(1) << order,
			      .completion_capacity =
				      smaller(UINT32_C(2) << order, COMPLETIONS_MAX),
			      .submitters = 4 });
}

static int create_completion(const struct kind *kind, struct peer *peer,
			     const char *name, uint32_t order)
{
	return create(kind, peer, name,
		      (struct evr_uring_options){
			      .submission_capacity =
				      smaller(UINT32_C(1) << order, REQUESTS_MAX),
			      .completion_capacity = UINT32_C(1) << order,
			      .submitters = 1 });
}

static int open_uring(struct end *end)
{
	return end->uring ? 0 : evr_uring_open(end->peer->pool, end->name, 0, 0,
					       &end->uring);
}

static void leave_uring(struct end *end)
{
	end->submitter = evr_submitter_close(end->submitter);
	end->completer = evr_completer_close(end->completer);
	end->uring = evr_uring_close(end->uring);
}

static int send(struct end *end, struct evr_block *block, uint64_t number)
{
	struct evr_request request = { .block = *block, .operation = number,
				       .length_bytes = sizeof(number) };
	int error;

	memcpy(block->payload, &number, sizeof(number));
	error = evr_submitter_try_submit(end->submitter, &request);
	if (error < 0 && evr_block_free(&end->peer->agent, block->token) < 0)
		return -EBADMSG;
	return error;
}

static int send_new(struct end *end, uint64_t number)
{
	struct evr_block block;
	int error = evr_block_alloc(&end->peer->agent, sizeof(number), &block);

	return error < 0 ? error : send(end, &block, number);
}

static int send_window(struct end *end)
{
	uint32_t window = smaller(evr_uring_window(end->uring), REQUESTS_MAX);
	int error = 0;

	for (uint32_t i = 0; i < window && error == 0; i++)
		error = send_new(end, 0);
	return error;
}

static int take_submission(struct end *end)
{
	int error = open_uring(end);

	if (error < 0)
		return error;
	return end->side == EVR_RING_PUSHER ?
		       evr_submitter_open(end->uring, &end->peer->agent, NULL,
					  &end->submitter) :
		       evr_completer_open(end->uring, &end->peer->agent, NULL,
					  &end->completer);
}

static int take_completion(struct end *end)
{
	int error = open_uring(end);

	if (error < 0)
		return error;
	if (end->side == EVR_RING_PUSHER)
		return evr_completer_open(end->uring, &end->peer->agent, NULL,
					  &end->completer);
	error = evr_submitter_open(end->uring, &end->peer->agent, NULL, &end->submitter);
	return error < 0 ? error : send_window(end);
}

/* A submission ring says nowhere how much it holds. */
static uint64_t submission_capacity(const struct end *end)
{
	(void)end;
	return 0;
}

static uint64_t completion_capacity(const struct end *end)
{
	return evr_uring_window(end->uring);
}

/* First what came back is freed. */
static int submit(struct end *end, uint64_t number)
{
	struct evr_completion completion;

	while (evr_submitter_try_reap(end->submitter, &completion) == 0) {
		if (completion.status == -EOWNERDEAD)
			end->came_home++;
		else if (completion.status != 0)
			return -EBADMSG;
		if (evr_block_free(&end->peer->agent, completion.block.token) < 0)
			return -EBADMSG;
	}
	return send_new(end, number);
}

static int receive(struct end *end, uint64_t *ret)
{
	struct evr_request request;
	uint64_t number;
	int error = evr_completer_try_receive(end->completer, &request);

	if (error < 0)
		return error;
	memcpy(&number, request.block.payload, sizeof(number));
	if (request.operation != number || request.length_bytes != sizeof(number))
		return -EBADMSG;
	*ret = number;
	return evr_completer_complete(end->completer, request.block.token, 0, 0);
}

static int complete(struct end *end, uint64_t number)
{
	struct evr_request request;
	int error = evr_completer_try_receive(end->completer, &request);

	if (error < 0)
		return error;
	memcpy(request.block.payload, &number, sizeof(number));
	return evr_completer_complete(end->completer, request.block.token, 0,
				      sizeof(number));
}

static int reap(struct end *end, uint64_t *ret)
{
	struct evr_completion completion;
	int error;

	while ((error = evr_submitter_try_reap(end->submitter, &completion)) == 0) {
		if (completion.status == 0)
			memcpy(ret, completion.block.payload, sizeof(*ret));
		else if (completion.status == -EOWNERDEAD)
			end->came_home++;
		else
			return -EBADMSG;
		error = send(end, &completion.block, 0);
		if (error < 0 || completion.status == 0)
			break;
	}
	return error;
}

static int shut_down(struct end *end)
{
	return evr_uring_shutdown(end->uring);
}

static int hold(struct end *end)
{
	struct evr_completion completion;
	struct evr_request request;
	struct evr_block block;
	bool pushes = end->side == EVR_RING_PUSHER;

	if (end->completer)
		return evr_completer_try_receive(end->completer, &request);
	return pushes ? evr_block_alloc(&end->peer->agent, 8, &block) :
			evr_submitter_try_reap(end->submitter, &completion);
}

#define NO_BURSTS "requests and completions travel one by one"
#define NO_PLACE "a block is written and read in place before the push, after the pop"
#define NO_END "a home is not closed, but left: test_channel_leave.c"

const struct kind kind_submission = {
	.name = "submission",
	.family = FAMILY_URING,
	.largest_order = 24,
	.fate = FATE_HOME,
	.dies_with_pusher = true,
	.pusher_died = -EAGAIN,
	.second_close = 0,
	.close_when_full = -EAGAIN,
	.push_when_closed = -EPIPE,
	.create = create_submission,
	.take = take_submission,
	.leave = leave_uring,
	.capacity = submission_capacity,
	.push = submit,
	.pop = receive,
	.close = shut_down,
	.hang_up = shut_down,
	.hold = hold,
	.lacks = { [ASPECT_BURSTS] = NO_BURSTS, [ASPECT_IN_PLACE] = NO_PLACE,
		   [ASPECT_PUSHER] = "every submitter submits",
		   [ASPECT_POPPER] = "every completer receives",
		   [ASPECT_NEXT_PUSHER] = "a dead submitter's requests are freed: "
					  "test_recovery_channel.c" },
};

const struct kind kind_completion = {
	.name = "completion",
	.family = FAMILY_URING,
	.largest_order = 23,
	.spare = 1,
	.single = EVR_RING_POPPER,
	.pusher_died = -EAGAIN,
	.create = create_completion,
	.take = take_completion,
	.leave = leave_uring,
	.capacity = completion_capacity,
	.push = complete,
	.pop = reap,
	.hold = hold,
	.lacks = { [ASPECT_BURSTS] = NO_BURSTS, [ASPECT_IN_PLACE] = NO_PLACE,
		   [ASPECT_CLOSE] = NO_END, [ASPECT_HANG_UP] = NO_END,
		   [ASPECT_PUSHER] = "every completer answers",
		   [ASPECT_POPPER] = "another submitter has another home",
		   [ASPECT_NEXT_POPPER] = "a dead submitter's answers are nobody's: "
					  "test_recovery_channel.c" },
};
