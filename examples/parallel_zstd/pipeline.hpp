/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef PARALLEL_ZSTD_PIPELINE_HPP
#define PARALLEL_ZSTD_PIPELINE_HPP

/*
 * pipeline.hpp - the parent: reads chunks, submits them, writes the frames in order.
 *
 * There are as many slots as requests may be in flight; chunk n uses slot n mod slots,
 * and each slot keeps one request with its two boxes (job.hpp) from beginning to end. So
 * memory stays the same whatever the input, and no chunk overtakes the writing by more
 * than a window.
 *
 *	idle --read, submit--> in flight --reap--> done --write--> idle
 *
 * A request that its worker died over goes from in flight to in flight: the chunk is
 * still in its box, which is the only copy there is.
 */

#include "crew.hpp"
#include "input.hpp"
#include "options.hpp"
#include "output.hpp"
#include "progress.hpp"
#include "stats.hpp"
#include "workspace.hpp"

#include <optional>
#include <vector>

namespace parallel_zstd
{

class pipeline
{
public:
	pipeline(const options &wanted, workspace &space, crew &workers, input &from,
		 output &to, stats &figures);

	/* From the first byte to the last. Throws. */
	void run();

private:
	struct slot {
		request idle;                   /* empty in flight, and when done */
		std::optional<completion> done; /* its frame waits for its turn */
		evering::contained<bytes> chunk;
		evering::contained<bytes> frame;
		std::uint32_t chunk_bytes = 0;
		clock::time_point submitted;
	};

	slot make_slot();
	slot &slot_of(std::uint64_t chunk)
	{
		return slots_[chunk % slots_.size()];
	}
	bool can_read();

	bool feed();
	bool read_chunk(slot &which);
	void submit(slot &which);
	bool reap();
	void settle(completion &&back);
	bool write_frames();
	void look_after_workers();
	void wait();

	const options &wanted_;
	workspace &space_;
	crew &workers_;
	input &from_;
	output &to_;
	stats &figures_;
	progress bar_;
	submitter submitter_;

	std::vector<slot> slots_;
	std::size_t filled_bytes_ = 0; /* of the chunk that is being read */
	std::uint64_t next_in_ = 0;    /* the chunk that is read next */
	std::uint64_t next_out_ = 0;   /* the chunk whose frame is written next */
	bool input_ended_ = false;
	bool recover_again_ = false; /* a pass of recovery left something for later */
	clock::time_point next_kill_;
};

} // namespace parallel_zstd

#endif
