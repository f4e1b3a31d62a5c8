/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef PARALLEL_ZSTD_JOB_HPP
#define PARALLEL_ZSTD_JOB_HPP

/*
 * job.hpp - what parent and workers say to each other.
 *
 * A request is a `job`, and contains two boxes of bytes: a chunk of the input, and room
 * for the frame that is made of it. All three travel together and come back together,
 * whoever dies; a worker writes into the frame and the response and nowhere else, so what
 * comes back from a dead one can be submitted again as it is.
 */

#include <evering/evering.hpp>

#include <cstddef>
#include <cstdint>

namespace parallel_zstd
{

using bytes = std::byte[];

struct job {
	evering::contained<bytes> chunk;
	evering::contained<bytes> frame;
	std::uint32_t chunk_bytes; /* of the chunk that count */
	std::int32_t level;
};

/* With status 0: the length of the frame. With status -EIO: why there is none. */
struct result {
	std::uint32_t frame_bytes;
	std::uint32_t zstd_error; /* a ZSTD_ErrorCode */
};

} // namespace parallel_zstd

template <>
struct evering::message_traits<parallel_zstd::job>
	: evering::sealed_message<parallel_zstd::job> {
};

template <>
struct evering::message_traits<parallel_zstd::result>
	: evering::sealed_message<parallel_zstd::result> {
};

namespace parallel_zstd
{

using channel = evering::channel<job, result>;
using submitter = evering::submitter<job, result>;
using completer = evering::completer<job, result>;
using request = evering::request<job, result>;
using completion = evering::completion<job, result>;
using received = evering::received<job, result>;

} // namespace parallel_zstd

#endif
