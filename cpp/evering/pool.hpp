/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_POOL_HPP
#define EVERING_POOL_HPP

/**
 * pool.hpp - the blocks of a region, the threads' working sets, and a block with an
 * owner.
 *
 * pool and agent end before the region does, blocks before the agent they came from.
 */

#include <evering/error.hpp>
#include <evering/handle.hpp>
#include <evering/pool.h>
#include <evering/pool_bulk.h>
#include <evering/pool_extent.h>
#include <evering/pool_node.h>
#include <evering/pool_stats.h>
#include <evering/region.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <new>
#include <span>
#include <system_error>
#include <utility>

namespace evering
{

/** A class to be created; see struct evr_pool_class. */
struct pool_class : evr_pool_class {
	/** Payload bytes, a multiple of 64; how many blocks; 0 or what the payloads are
	 * to be aligned to: a power of two that divides their size. */
	constexpr pool_class(std::uint64_t payload, std::uint32_t blocks,
			     std::uint32_t aligned_to = 0) noexcept
	    : evr_pool_class{payload, blocks, aligned_to}
	{
	}
};

static_assert(sizeof(pool_class) == sizeof(evr_pool_class), "an array of them is one");

/** How to create a pool; see struct evr_pool_options. */
struct pool_options {
	bool untracked = false; /* alloc and free are cheaper, misuse goes unseen */
	bool hardened = false;  /* they cost more, and look for misuse */
	bool poisoned = false;  /* hardened, and what is free is watched for writes */
	std::uint32_t batch_count = 0; /* 0: the default */
	std::uint32_t range = 0;       /* of the region: where it lies */
};

/**
 * pool - this process's view of the region's pool. Move-only.
 *
 * Threads: any number may use one pool, each through an agent of its own.
 */
class pool
{
public:
	pool() noexcept = default;

	/**
	 * create() - makes the region's pool, its classes by ascending payload.
	 * Throws as evr_pool_create() fails.
	 */
	static pool create(const region &in, std::span<const pool_class> classes,
			   const pool_options &options = {})
	{
		std::error_code error;
		pool made = create(in, classes, options, error);
		detail::throw_with_detail_if(error, "evering::pool::create");
		return made;
	}

	static pool create(const region &in, std::initializer_list<pool_class> classes,
			   const pool_options &options = {})
	{
		return create(in, std::span(classes.begin(), classes.size()), options);
	}

	static pool create(const region &in, std::span<const pool_class> classes,
			   const pool_options &options, std::error_code &error) noexcept
	{
		evr_pool_options wanted = {};
		wanted.size = sizeof(wanted);
		wanted.classes = classes.data();
		/* Too many are too many: do not let them wrap into a few. */
		wanted.classes_count = classes.size() > EVR_POOL_CLASSES_MAX ?
					       EVR_POOL_CLASSES_MAX + 1 :
					       static_cast<std::uint32_t>(classes.size());
		wanted.flags = (options.untracked ? EVR_POOL_UNTRACKED : 0) |
			       (options.hardened || options.poisoned ?
					EVR_POOL_HARDENED :
					0) |
			       (options.poisoned ? EVR_POOL_POISONED : 0);
		wanted.batch_count = options.batch_count;
		wanted.range = options.range;

		evr_pool *made = nullptr;
		error = to_error_code(evr_pool_create(in.get(), &wanted, &made));
		return pool(made);
	}

	/** open() - the pool that the region has. Throws as evr_pool_open() fails. */
	static pool open(const region &in)
	{
		std::error_code error;
		pool found = open(in, error);
		detail::throw_with_detail_if(error, "evering::pool::open");
		return found;
	}

	static pool open(const region &in, std::error_code &error) noexcept
	{
		evr_pool *found = nullptr;
		error = to_error_code(evr_pool_open(in.get(), &found));
		return pool(found);
	}

	/**
	 * grow() - gives a class more blocks, while everybody works.
	 * @more:  its payload bytes, exactly, and how many blocks more.
	 * @range: of the region: where they lie; see region::grow().
	 *
	 * Throws as evr_pool_grow() fails.
	 */
	void grow(const pool_class &more, std::uint32_t range = 0) const
	{
		std::error_code error;
		grow(more, range, error);
		detail::throw_with_detail_if(error, "evering::pool::grow");
	}

	void grow(const pool_class &more, std::uint32_t range,
		  std::error_code &error) const noexcept
	{
		evr_pool_growth growth = {};
		growth.size = sizeof(growth);
		growth.payload_bytes = more.payload_bytes;
		growth.blocks_count = more.blocks_count;
		growth.range = range;
		error = to_error_code(evr_pool_grow(get(), &growth));
	}

	/** blocks() - how many there are, of all classes, as far as this process knows.
	 * */
	std::uint32_t blocks() const noexcept
	{
		return evr_pool_blocks(get());
	}

	/** free_count() - blocks that are free, those in agents' magazines not counted.
	 * */
	std::uint32_t free_count() const noexcept
	{
		return evr_pool_free_count(get());
	}

	/**
	 * stats() - where the blocks of a class are, and (@held, from the front) who has
	 * how many. See evr_pool_stats(). Throws as that fails.
	 */
	evr_pool_class_stats stats(std::uint32_t class_index,
				   std::span<evr_pool_held> held = {}) const
	{
		std::error_code error;
		evr_pool_class_stats found = stats(class_index, held, error);
		detail::throw_with_detail_if(error, "evering::pool::stats");
		return found;
	}

	evr_pool_class_stats stats(std::uint32_t class_index,
				   std::span<evr_pool_held> held,
				   std::error_code &error) const noexcept
	{
		evr_pool_class_stats found = {};
		found.size = sizeof(found);
		found.held = held.data();
		found.held_max = static_cast<std::uint32_t>(held.size());
		error = to_error_code(evr_pool_stats(get(), class_index, &found));
		return found;
	}

	/**
	 * node_stats() - how many blocks of a class there are, and are free, on a memory
	 * node; -1: where that is not known, or on several. See evr_pool_node_stats().
	 * Throws as that fails.
	 */
	evr_pool_node_blocks node_stats(std::uint32_t class_index, int node) const
	{
		std::error_code error;
		evr_pool_node_blocks found = node_stats(class_index, node, error);
		detail::throw_with_detail_if(error, "evering::pool::node_stats");
		return found;
	}

	evr_pool_node_blocks node_stats(std::uint32_t class_index, int node,
				       std::error_code &error) const noexcept
	{
		evr_pool_node_blocks found = {};
		found.size = sizeof(found);
		error = to_error_code(
			evr_pool_node_stats(get(), class_index, node, &found));
		return found;
	}

	/** payload_max() - payload bytes of the largest class. */
	std::uint64_t payload_max() const noexcept
	{
		return evr_pool_payload_max(get());
	}

	/** get() - for the C functions; still owned by this object. */
	evr_pool *get() const noexcept
	{
		return handle_.get();
	}

	explicit operator bool() const noexcept
	{
		return handle_ != nullptr;
	}

private:
	explicit pool(evr_pool *view) noexcept : handle_(view)
	{
	}

	detail::handle<evr_pool, evr_pool_close> handle_;
};

/**
 * agent - one thread's working set. Move-only; what points to it stays valid when it
 * moves.
 *
 * Threads: each has its own; one at a time uses it, and all that was made with it
 * (blocks, boxes, submitters, completers).
 */
class agent
{
public:
	agent() noexcept = default;

	/** Throws as evr_agent_open() fails. */
	explicit agent(const pool &from)
	{
		std::error_code error;
		*this = agent(from, error);
		detail::throw_with_detail_if(error, "evering::agent");
	}

	agent(const pool &from, std::error_code &error) noexcept
	{
		auto *opened = new (std::nothrow) evr_agent();
		int result = opened ? evr_agent_open(from.get(), opened) : -ENOMEM;
		if (result < 0)
			delete opened;
		else
			handle_.reset(opened);
		error = to_error_code(result);
	}

	/** flush() - gives the blocks in its magazines back to everybody. */
	void flush() noexcept
	{
		evr_agent_flush(get());
	}

	/**
	 * set_node() - its blocks are to come from this memory node, if that has some;
	 * -1: from that of the CPU that it runs on. Throws as evr_agent_set_node() fails.
	 */
	void set_node(int node)
	{
		std::error_code error;
		set_node(node, error);
		detail::throw_with_detail_if(error, "evering::agent::set_node");
	}

	void set_node(int node, std::error_code &error) noexcept
	{
		error = to_error_code(evr_agent_set_node(get(), node));
	}

	/** borrowed() - how many blocks it has had to take from other nodes. */
	std::uint64_t borrowed() const noexcept
	{
		return evr_agent_borrowed(get());
	}

	/**
	 * retire() - gives the pages of a range's blocks back to the machine.
	 * @range: of the region: one that pool::grow() has put blocks in, all free.
	 *
	 * Returns how many bytes went back. Throws as evr_pool_retire() fails: with
	 * EAGAIN, call again.
	 */
	std::uint64_t retire(std::uint32_t range)
	{
		std::error_code error;
		std::uint64_t bytes = retire(range, error);
		detail::throw_with_detail_if(error, "evering::agent::retire");
		return bytes;
	}

	std::uint64_t retire(std::uint32_t range, std::error_code &error) noexcept
	{
		std::uint64_t bytes = 0;
		error = to_error_code(evr_pool_retire(get(), range, &bytes));
		return bytes;
	}

	/** get() - for the C functions; still owned by this object. */
	evr_agent *get() const noexcept
	{
		return handle_.get();
	}

	explicit operator bool() const noexcept
	{
		return handle_ != nullptr;
	}

private:
	static void close(evr_agent *opened) noexcept
	{
		evr_agent_close(opened);
		delete opened;
	}

	detail::handle<evr_agent, &agent::close> handle_;
};

/**
 * block - owns a block: frees it, and what it contains, in the destructor. Move-only.
 *
 * For bytes; box.hpp owns values. It may be empty, as a std::unique_ptr may.
 *
 * Death: a block whose owner dies is freed by recovery.
 * Threads: its agent's.
 */
class block
{
public:
	block() noexcept = default;

	/** alloc() - a block of at least so many bytes. Throws as evr_block_alloc()
	 * fails. */
	static block alloc(agent &from, std::uint64_t bytes)
	{
		std::error_code error;
		block taken = alloc(from, bytes, error);
		detail::throw_if(error, "evering::block::alloc");
		return taken;
	}

	static block
	alloc(agent &from, std::uint64_t bytes, std::error_code &error) noexcept
	{
		evr_block taken = {};
		int result = evr_block_alloc(from.get(), bytes, &taken);
		error = to_error_code(result);
		return result < 0 ? block() : block(from.get(), taken);
	}

	/** try_alloc() - as alloc(), but empty when the class has no free block. */
	static block try_alloc(agent &from, std::uint64_t bytes)
	{
		std::error_code error;
		block taken = alloc(from, bytes, error);
		if (error != std::errc::no_space_on_device)
			detail::throw_if(error, "evering::block::try_alloc");
		return taken;
	}

	/**
	 * alloc_bulk() - fills @ret from the front with blocks of at least so many bytes;
	 * what was in it is freed. Faster than as many alloc().
	 *
	 * Returns how many there were: fewer than asked for, or 0, when the class has no
	 * more. Throws as evr_block_alloc_bulk() fails otherwise.
	 */
	static std::size_t alloc_bulk(agent &from, std::uint64_t bytes,
				      std::span<block> ret)
	{
		std::error_code error;
		std::size_t count = alloc_bulk(from, bytes, ret, error);
		detail::throw_if(error, "evering::block::alloc_bulk");
		return count;
	}

	static std::size_t alloc_bulk(agent &from, std::uint64_t bytes,
				      std::span<block> ret,
				      std::error_code &error) noexcept
	{
		std::size_t done = 0;

		error.clear();
		while (done < ret.size()) {
			evr_block some[bulk_count];
			auto wanted = static_cast<std::uint32_t>(
				std::min<std::size_t>(bulk_count, ret.size() - done));
			int got = evr_block_alloc_bulk(from.get(), bytes, some, wanted);
			if (got < 0 && got != -ENOSPC && done == 0)
				error = to_error_code(got);
			if (got < 0)
				break;
			for (int i = 0; i < got; i++)
				ret[done++] = block(from.get(), some[i]);
			if (static_cast<std::uint32_t>(got) < wanted)
				break;
		}
		return done;
	}

	/** free_bulk() - frees them all, and leaves them empty. Faster than one by one
	 * where neighbours came from the same agent. */
	static void free_bulk(std::span<block> all) noexcept
	{
		while (!all.empty()) {
			evr_agent *through = all.front().agent_;
			evr_token tokens[bulk_count];
			std::uint32_t count = 0;
			std::uint32_t done = 0;

			while (count < bulk_count && count < all.size() &&
			       all[count].agent_ == through) {
				all[count].agent_ = nullptr;
				tokens[count] =
					std::exchange(all[count].block_, {}).token;
				count++;
			}
			/* One that is refused is left out, as by reset(). */
			while (through && done < count) {
				int freed = evr_block_free_bulk(through, tokens + done,
								count - done);
				done += freed > 0 ? static_cast<std::uint32_t>(freed) : 1;
			}
			all = all.subspan(count);
		}
	}

	/** adopt() - becomes the owner of what a C function gave this participant. */
	static block adopt(evr_agent *from, const evr_block &owned) noexcept
	{
		return block(from, owned);
	}

	block(block &&other) noexcept
	    : agent_(std::exchange(other.agent_, nullptr)),
	      block_(std::exchange(other.block_, {}))
	{
	}

	block &operator=(block &&other) noexcept
	{
		if (this != &other) {
			reset();
			agent_ = std::exchange(other.agent_, nullptr);
			block_ = std::exchange(other.block_, {});
		}
		return *this;
	}

	~block()
	{
		reset();
	}

	/** reset() - frees it now. */
	void reset() noexcept
	{
		if (agent_)
			evr_block_free(std::exchange(agent_, nullptr),
				       std::exchange(block_, {}).token);
	}

	/** release() - owns nothing from here on; the caller sees to the block. */
	evr_block release() noexcept
	{
		agent_ = nullptr;
		return std::exchange(block_, {});
	}

	/** payload() - its memory, aligned to 64 bytes or as its class says; not cleared.
	 */
	std::span<std::byte> payload() const noexcept
	{
		return {static_cast<std::byte *>(block_.payload), block_.payload_bytes};
	}

	/**
	 * contain() - puts another block into this one, to travel with it.
	 * On failure (see evr_block_contain()) the other stays the caller's.
	 *
	 * Return: the place, 0 to EVR_BLOCK_CONTENTS_MAX - 1.
	 */
	std::uint32_t contain(block &&content)
	{
		std::error_code error;
		std::uint32_t place = contain(std::move(content), error);
		detail::throw_if(error, "evering::block::contain");
		return place;
	}

	std::uint32_t contain(block &&content, std::error_code &error) noexcept
	{
		int place = evr_block_contain(agent_, token(), content.token());
		error = to_error_code(place);
		if (place < 0)
			return 0;
		content.release();
		return static_cast<std::uint32_t>(place);
	}

	/** take_out() - a content, as a block of its own again. See evr_block_take_out().
	 * */
	block take_out(std::uint32_t place)
	{
		std::error_code error;
		block content = take_out(place, error);
		detail::throw_if(error, "evering::block::take_out");
		return content;
	}

	block take_out(std::uint32_t place, std::error_code &error) noexcept
	{
		evr_block content = {};
		int result = evr_block_take_out(agent_, token(), place, &content);
		error = to_error_code(result);
		return result < 0 ? block() : block(agent_, content);
	}

	/** token() - its name, for the C functions; still owned by this object. When
	 * empty, a token that they refuse. */
	evr_token token() const noexcept
	{
		return block_.token;
	}

	/** get() - its handle, for the C functions; still owned by this object. */
	const evr_block &get() const noexcept
	{
		return block_;
	}

	/** owner() - the agent it goes back through; NULL when empty. */
	evr_agent *owner() const noexcept
	{
		return agent_;
	}

	explicit operator bool() const noexcept
	{
		return agent_ != nullptr;
	}

private:
	block(evr_agent *from, const evr_block &owned) noexcept
	    : agent_(from), block_(owned)
	{
	}

	/* What is kept on the stack meanwhile. */
	static constexpr std::uint32_t bulk_count = 32;

	evr_agent *agent_ = nullptr;
	evr_block block_ = {};
};

} // namespace evering

#endif
