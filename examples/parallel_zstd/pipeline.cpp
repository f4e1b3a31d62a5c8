/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* pipeline.cpp - one loop: read, submit, reap, write, and look after the workers. */

#include "pipeline.hpp"

#include "failure.hpp"
#include "interrupt.hpp"

#include <algorithm>
#include <string>

#include <zstd.h>
#include <zstd_errors.h>

namespace parallel_zstd
{
namespace
{

/* So often the parent looks after its workers even when nothing comes back. */
constexpr std::chrono::milliseconds look_interval{20};
/* So long at most it does not look at an input that had nothing to read. */
constexpr std::chrono::milliseconds input_interval{2};

constexpr std::uint32_t attempts_max = 200;

} // namespace

pipeline::pipeline(const options &wanted, workspace &space, crew &workers, input &from,
		   output &to, stats &figures)
	: wanted_(wanted), space_(space), workers_(workers), from_(from), to_(to),
	  figures_(figures), bar_(from.bytes_expected(), wanted.quiet),
	  submitter_(space.channel, space.agent, sleep_at_once)
{
	while (slots_.size() < wanted_.window)
		slots_.push_back(make_slot());
	if (wanted_.kill_every)
		next_kill_ = clock::now() + *wanted_.kill_every;
}

pipeline::slot pipeline::make_slot()
{
	using box = evering::shm_box<bytes>;
	slot made;

	made.idle = submitter_.prepare();
	made.chunk = made.idle.contain(
		box::make_for_overwrite(space_.agent, wanted_.chunk_bytes));
	made.frame = made.idle.contain(box::make_for_overwrite(
		space_.agent, ZSTD_compressBound(wanted_.chunk_bytes)));
	return made;
}

void pipeline::run()
{
	while (!input_ended_ || next_out_ < next_in_) {
		check_interrupt();
		look_after_workers();

		bool moved = feed();
		moved |= reap();
		moved |= write_frames();
		if (!moved)
			wait();
		bar_.show(figures_);
	}
}

bool pipeline::can_read()
{
	return !input_ended_ && slot_of(next_in_).idle;
}

/* Fills idle slots and submits them. True when it did, or has met the end. */
bool pipeline::feed()
{
	bool moved = false;

	while (can_read()) {
		slot &next = slot_of(next_in_);

		if (!read_chunk(next))
			break;
		moved = true;
		/* The end, behind a full chunk. But the empty input is a frame. */
		if (next.chunk_bytes > 0 || next_in_ == 0)
			submit(next);
	}
	return moved;
}

/* True when the slot's chunk is complete, or the last one. */
bool pipeline::read_chunk(slot &which)
{
	switch (from_.fill(which.idle.content(which.chunk), filled_bytes_)) {
	case input::state::nothing_yet:
		return false;
	case input::state::end:
		input_ended_ = true;
		break;
	case input::state::full:
		break;
	}
	which.chunk_bytes = static_cast<std::uint32_t>(filled_bytes_);
	filled_bytes_ = 0;
	return true;
}

void pipeline::submit(slot &which)
{
	*which.idle = {which.chunk, which.frame, which.chunk_bytes, wanted_.level};
	which.submitted = clock::now();
	if (!submitter_.try_submit(std::move(which.idle), next_in_))
		throw failure(
			"the ring is full, though it has room for the whole window");
	next_in_++;
}

/* Takes all that has come back. */
bool pipeline::reap()
{
	bool moved = false;

	while (auto back = submitter_.try_reap()) {
		settle(std::move(*back));
		moved = true;
	}
	return moved;
}

void pipeline::settle(completion &&back)
{
	const std::string name = "chunk " + std::to_string(back.operation());
	slot &which = slot_of(back.operation());

	if (back.died()) {
		figures_.recovered++;
		if (back.attempts() >= attempts_max)
			throw failure(name + " was begun " +
				      std::to_string(attempts_max) +
				      " times and its worker died each time: raise "
				      "--kill-every, or lower --chunk or --level");
		if (!submitter_.resubmit(std::move(back)))
			throw failure(name + " cannot be submitted again");
		return;
	}
	if (!back.has_response())
		throw failure(name + " came back without an answer");
	if (back.status() < 0)
		throw failure("zstd cannot compress " + name + ": " +
			      ZSTD_getErrorString(static_cast<ZSTD_ErrorCode>(
				      back.response().zstd_error)));
	workers_.made_progress();
	figures_.times.add(clock::now() - which.submitted);
	figures_.bytes_in += which.chunk_bytes;
	/* A job that is shorter than the interval shall not go undisturbed: one is killed
	 * with each answer, until one was caught with a chunk in hand. */
	if (wanted_.kill_every && figures_.recovered == 0)
		next_kill_ = clock::now();
	which.done = std::move(back);
}

/* Writes the frames whose turn it is. */
bool pipeline::write_frames()
{
	bool moved = false;

	while (next_out_ < next_in_ && slot_of(next_out_).done) {
		slot &next = slot_of(next_out_);
		const std::span<std::byte> frame = next.done->content(next.frame);
		const std::size_t frame_bytes = next.done->response().frame_bytes;

		if (frame_bytes > frame.size())
			throw failure("a worker names a longer frame than its box holds");
		to_.write(frame.first(frame_bytes));
		figures_.bytes_out += frame_bytes;
		next.idle = std::move(*next.done).reuse();
		next.done.reset();
		next_out_++;
		moved = true;
	}
	return moved;
}

void pipeline::look_after_workers()
{
	std::uint32_t ended = 0;

	if (wanted_.kill_every && clock::now() >= next_kill_) {
		workers_.kill_random();
		figures_.killed++;
		ended++;
		/* Those that a slow write has made us miss are not made up for. */
		next_kill_ = std::max(next_kill_ + *wanted_.kill_every, clock::now());
	}
	ended += workers_.replace_ended();
	if (ended > 0 || recover_again_) {
		const auto did = evering::recover(space_.agent);
		recover_again_ = did.finished < did.dead;
	}
}

/* Until something comes back, or can be read, or a worker is to be looked at. */
void pipeline::wait()
{
	auto until = clock::now() + (can_read() ? input_interval : look_interval);

	if (wanted_.kill_every)
		until = std::min(until, next_kill_);
	if (submitter_.in_flight() > 0) {
		if (auto back = submitter_.reap(until))
			settle(std::move(*back));
	} else if (can_read()) {
		from_.wait(look_interval);
	} else {
		throw failure("a chunk was lost on its way"); /* a peer has scribbled */
	}
}

} // namespace parallel_zstd
