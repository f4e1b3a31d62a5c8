/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_HANDLE_HPP
#define EVERING_HANDLE_HPP

/**
 * handle.hpp - a C handle that ends itself. For the headers beside this one.
 */

#include <memory>

namespace evering::detail
{

template <auto Close> struct closer {
	template <class T> void operator()(T *handle) const noexcept
	{
		Close(handle);
	}
};

/* Move-only; the C object stays where it is when the handle moves. */
template <class T, auto Close> using handle = std::unique_ptr<T, closer<Close>>;

} // namespace evering::detail

#endif
