/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_BOX_HPP
#define EVERING_BOX_HPP

/**
 * box.hpp - values in shared memory with an owner.
 *
 *	shm_box<T>, shm_box<T[]>      owns a block that holds a T, or a run of T: as
 *	                              std::unique_ptr does, it frees it at the end
 *	shm_token<T>, shm_token<T[]>  a box folded up: 8 or 16 bytes without destructor,
 *	                              to pass where only such things fit; opens once
 *	contained<T>, contained<T[]>  where in a request a box went that travels with it;
 *	                              itself fit to lie in the request's message
 */

#include <evering/error.hpp>
#include <evering/message.hpp>
#include <evering/pool.hpp>

#include <cerrno>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <span>
#include <system_error>
#include <type_traits>
#include <utility>

namespace evering
{

template <class T> class shm_box;

namespace detail
{

/* T, or T[]: a run of T whose length is known at run time. */
template <class T>
concept boxable = !std::is_bounded_array_v<T> && message<std::remove_extent_t<T>>;

/* Opens what a token names: the block gets a new name, so nobody opens it again. */
inline int open_token(evr_agent *agent, evr_token token, std::uint64_t bytes,
		      evr_block *ret) noexcept
{
	evr_block_shared *shared;
	std::uint64_t word;
	int error = evri_block_mine(agent, token, &shared, &word);

	if (error < 0)
		return error;
	if (evri_block_payload_bytes(agent, evr_token_index(token)) < bytes)
		return -EINVAL;

	/* Two threads of this participant may hold copies of the token: one wins. The
	 * token's own way between threads orders what was written into the block. */
	std::uint64_t next = evr_block_word_next(word, EVR_BLOCK_OWNED, agent->number);
	if (!evr_cas_acq_rel_u64(&shared->word, &word, next))
		return -ESTALE;
	evri_block_handle(agent, evr_token_index(token), shared, next, ret);
	return 0;
}

/* The bytes of count Ts; more than any block has if that is too many. */
template <class T> constexpr std::uint64_t run_bytes(std::uint64_t count) noexcept
{
	constexpr auto most = std::numeric_limits<std::uint64_t>::max();
	return count > most / sizeof(T) ? most : count * sizeof(T);
}

template <class T> T *value_at(void *payload) noexcept
{
	return std::launder(static_cast<T *>(payload));
}

/* T(args...), or T{args...} for an aggregate where compilers do not take the former. */
template <class T, class... Args>
concept makeable_from =
	std::constructible_from<T, Args...> || requires(Args &&...args) {
		T{std::forward<Args>(args)...};
	};

template <class T, class... Args> T *make_at(void *payload, Args &&...args)
{
	if constexpr (std::constructible_from<T, Args...>)
		return ::new (payload) T(std::forward<Args>(args)...);
	else
		return ::new (payload) T{std::forward<Args>(args)...};
}

} // namespace detail

/**
 * shm_token - a box folded up: names a block that nobody's destructor will free.
 *
 * Made by shm_box::release(), opened by shm_box::from_token(), once: a second opening,
 * also of a copy, fails with ESTALE and changes nothing. It opens in the participant that
 * released it, in any thread; in another it fails with EPERM, because between
 * participants a block changes hands by a ring or in a request (contained), not by its
 * name.
 *
 * Death: the block of an unopened token is freed when its participant ends.
 */
template <detail::boxable T> class shm_token
{
	friend class shm_box<T>;

	evr_token token_;
};

template <detail::boxable T> class shm_token<T[]>
{
	friend class shm_box<T[]>;

	evr_token token_;
	std::uint64_t count_;
};

template <class T> struct message_traits<shm_token<T>> : sealed_message<shm_token<T>> {
};

/**
 * contained - where in a request a box lies that travels with it. From contain(); put it
 * into the message, so that the other side finds the box. Zero: an empty run.
 */
template <detail::boxable T> struct contained {
	std::uint32_t place;
	std::uint32_t count;
};

template <class T> struct message_traits<contained<T>> : sealed_message<contained<T>> {
};

/**
 * shm_box<T> - owns a T in shared memory. Move-only; may be empty.
 *
 * Threads: its agent's. To pass it to another thread, release() it, and open the token
 * there with that thread's agent.
 * Death: if the process dies, recovery frees the block.
 */
template <class T> class shm_box
{
	static_assert(message<T>, "only messages lie in shared memory: message.hpp");

public:
	using element_type = T;

	shm_box() noexcept = default;

	/** make() - a T made from the arguments. Throws as evr_block_alloc() fails. */
	template <class... Args>
		requires detail::makeable_from<T, Args...>
	static shm_box make(agent &from, Args &&...args)
	{
		return made_in(block::alloc(from, sizeof(T)),
			       std::forward<Args>(args)...);
	}

	/** try_make() - as make(), but empty when no block is free. */
	template <class... Args>
		requires detail::makeable_from<T, Args...>
	static shm_box try_make(agent &from, Args &&...args)
	{
		return made_in(block::try_alloc(from, sizeof(T)),
			       std::forward<Args>(args)...);
	}

	/** The arguments being what they are, the code comes first here. */
	template <class... Args>
		requires detail::makeable_from<T, Args...>
	static shm_box make(std::error_code &error, agent &from, Args &&...args) noexcept
	{
		return made_in(block::alloc(from, sizeof(T), error),
			       std::forward<Args>(args)...);
	}

	/** from_token() - opens a token. Throws ESTALE, EPERM, ... as evr_block_free()
	 * fails. */
	static shm_box from_token(agent &with, shm_token<T> token)
	{
		std::error_code error;
		shm_box opened = from_token(with, token, error);
		detail::throw_if(error, "evering::shm_box::from_token");
		return opened;
	}

	static shm_box from_token(agent &with, shm_token<T> token,
				  std::error_code &error) noexcept
	{
		evr_block opened = {};
		int result =
			detail::open_token(with.get(), token.token_, sizeof(T), &opened);
		error = to_error_code(result);
		return result < 0 ? shm_box() : shm_box(block::adopt(with.get(), opened));
	}

	/** adopt() - takes the T that lies in a block. Throws EINVAL, the block staying
	 * the caller's, when it is too small to hold one. */
	static shm_box adopt(block &&holding)
	{
		if (holding.payload().size() < sizeof(T))
			detail::throw_if(to_error_code(-EINVAL),
					 "evering::shm_box::adopt");
		return shm_box(std::move(holding));
	}

	/** release() - folds the box up; it is empty afterwards. */
	[[nodiscard]] shm_token<T> release() noexcept
	{
		shm_token<T> token;
		token.token_ = block_.token();
		block_.release();
		return token;
	}

	/** release_block() - the block without its type; the box is empty afterwards. */
	[[nodiscard]] block release_block() noexcept
	{
		return std::move(block_);
	}

	/** reset() - frees it now. */
	void reset() noexcept
	{
		block_.reset();
	}

	T *get() const noexcept
	{
		return block_ ? detail::value_at<T>(block_.get().payload) : nullptr;
	}

	T &operator*() const noexcept
	{
		return *get();
	}

	T *operator->() const noexcept
	{
		return get();
	}

	explicit operator bool() const noexcept
	{
		return bool(block_);
	}

private:
	explicit shm_box(block &&holding) noexcept : block_(std::move(holding))
	{
	}

	template <class... Args> static shm_box made_in(block &&room, Args &&...args)
	{
		if (room)
			detail::make_at<T>(room.get().payload,
					   std::forward<Args>(args)...);
		return shm_box(std::move(room));
	}

	block block_;
};

/**
 * shm_box<T[]> - owns a run of T in shared memory, its length known. Move-only; may be
 * empty. All else as shm_box<T>.
 */
template <class T> class shm_box<T[]>
{
	static_assert(message<T>, "only messages lie in shared memory: message.hpp");

public:
	using element_type = T;

	shm_box() noexcept = default;

	/** make() - a run of zeroed (value-initialised) Ts. Throws as evr_block_alloc()
	 * fails. */
	static shm_box make(agent &from, std::uint64_t count)
	{
		return make_for_overwrite(from, count).cleared();
	}

	static shm_box
	make(agent &from, std::uint64_t count, std::error_code &error) noexcept
	{
		return make_for_overwrite(from, count, error).cleared();
	}

	/** make_for_overwrite() - the same, with whatever the block held before. */
	static shm_box make_for_overwrite(agent &from, std::uint64_t count)
	{
		return shm_box(block::alloc(from, detail::run_bytes<T>(count)), count);
	}

	static shm_box make_for_overwrite(agent &from, std::uint64_t count,
					  std::error_code &error) noexcept
	{
		return shm_box(block::alloc(from, detail::run_bytes<T>(count), error),
			       count);
	}

	/** try_make(), try_make_for_overwrite() - the same, but empty when no block is
	 * free. */
	static shm_box try_make(agent &from, std::uint64_t count)
	{
		return try_make_for_overwrite(from, count).cleared();
	}

	static shm_box try_make_for_overwrite(agent &from, std::uint64_t count)
	{
		return shm_box(block::try_alloc(from, detail::run_bytes<T>(count)),
			       count);
	}

	/** from_token() - opens a token. Throws ESTALE, EPERM, ... as evr_block_free()
	 * fails. */
	static shm_box from_token(agent &with, shm_token<T[]> token)
	{
		std::error_code error;
		shm_box opened = from_token(with, token, error);
		detail::throw_if(error, "evering::shm_box::from_token");
		return opened;
	}

	static shm_box from_token(agent &with, shm_token<T[]> token,
				  std::error_code &error) noexcept
	{
		evr_block opened = {};
		int result =
			detail::open_token(with.get(), token.token_,
					   detail::run_bytes<T>(token.count_), &opened);
		error = to_error_code(result);
		return shm_box(result < 0 ? block() : block::adopt(with.get(), opened),
			       token.count_);
	}

	/** adopt() - takes the run that lies in a block. Throws EINVAL, the block staying
	 * the caller's, when it is too small to hold it. */
	static shm_box adopt(block &&holding, std::uint64_t count)
	{
		if (holding.payload().size() < detail::run_bytes<T>(count))
			detail::throw_if(to_error_code(-EINVAL),
					 "evering::shm_box::adopt");
		return shm_box(std::move(holding), count);
	}

	shm_box(shm_box &&other) noexcept
	    : block_(std::move(other.block_)), count_(std::exchange(other.count_, 0))
	{
	}

	shm_box &operator=(shm_box &&other) noexcept
	{
		block_ = std::move(other.block_);
		count_ = this == &other ? count_ : std::exchange(other.count_, 0);
		return *this;
	}

	/** release() - folds the box up; it is empty afterwards. */
	[[nodiscard]] shm_token<T[]> release() noexcept
	{
		shm_token<T[]> token;
		token.token_ = block_.token();
		token.count_ = std::exchange(count_, 0);
		block_.release();
		return token;
	}

	/** release_block() - the block without its type; the box is empty afterwards. */
	[[nodiscard]] block release_block() noexcept
	{
		count_ = 0;
		return std::move(block_);
	}

	/** reset() - frees it now. */
	void reset() noexcept
	{
		block_.reset();
		count_ = 0;
	}

	T *data() const noexcept
	{
		return block_ ? detail::value_at<T>(block_.get().payload) : nullptr;
	}

	std::size_t size() const noexcept
	{
		return count_;
	}

	T *begin() const noexcept
	{
		return data();
	}

	T *end() const noexcept
	{
		return data() + size();
	}

	T &operator[](std::size_t at) const noexcept
	{
		return data()[at];
	}

	std::span<T> span() const noexcept
	{
		return {data(), size()};
	}

	explicit operator bool() const noexcept
	{
		return bool(block_);
	}

private:
	shm_box(block &&holding, std::uint64_t count) noexcept
	    : block_(std::move(holding)), count_(block_ ? count : 0)
	{
	}

	shm_box cleared() &&
	{
		if (block_)
			std::uninitialized_value_construct_n(data(), size());
		return std::move(*this);
	}

	block block_;
	std::uint64_t count_ = 0;
};

} // namespace evering

#endif
