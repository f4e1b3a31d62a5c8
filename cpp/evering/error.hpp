/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_ERROR_HPP
#define EVERING_ERROR_HPP

/**
 * error.hpp - how the C++ face reports what goes wrong.
 *
 * What may simply be full, empty or late is a bool, a std::optional or an object that is
 * empty. Everything else throws std::system_error, and each such function has an overload
 * that is noexcept and takes a std::error_code & as its last parameter instead. The code
 * is an errno in error_category(), whose message() is evr_strerror(); it compares equal
 * to the std::errc of the same name:
 *
 *	catch (const std::system_error &error) {
 *		if (error.code() == std::errc::owner_dead) ...
 *	}
 *
 * Destructors never throw.
 */

#include <evering/error.h>

#include <string>
#include <system_error>

namespace evering
{

namespace detail
{

class category final : public std::error_category
{
public:
	const char *name() const noexcept override
	{
		return "evering";
	}

	std::string message(int value) const override
	{
		return evr_strerror(value);
	}

	std::error_condition default_error_condition(int value) const noexcept override
	{
		return {value, std::generic_category()};
	}
};

inline constinit const category the_category;

} // namespace detail

/** error_category() - of all codes from this library. Threads: any. */
inline const std::error_category &error_category() noexcept
{
	return detail::the_category;
}

/** to_error_code() - what a C function returned, as a code: none if it is >= 0. */
inline std::error_code to_error_code(int result) noexcept
{
	return {result < 0 ? -result : 0, error_category()};
}

namespace detail
{

/* For the data path, where the code says all there is to say. */
inline void throw_if(const std::error_code &error, const char *what)
{
	if (error) [[unlikely]]
		throw std::system_error(error, what);
}

/* For calls that create, open or attach: evr_error_detail() names the values. */
inline void throw_with_detail_if(const std::error_code &error, const char *what)
{
	if (error) [[unlikely]] {
		std::string text = what;
		if (const char *seen = evr_error_detail(); *seen != '\0')
			text.append(": ").append(seen);
		throw std::system_error(error, text);
	}
}

} // namespace detail

} // namespace evering

#endif
