/* SPDX-License-Identifier: Apache-2.0
 *
 * Numbers by their size, dates by the calendar of RFC 3339 (§5.6, §5.7): no library function reads one without a locale,
 * a time zone or a NUL.
 */
#include "connectors/kafka/timestamp.h"

struct text {
	const uint8_t *at, *end;
};

static bool is_digit(const struct text *in)
{
	return in->at < in->end && *in->at >= '0' && *in->at <= '9';
}

static bool skip(struct text *in, const char *any_of)
{
	if (in->at == in->end || *in->at == '\0' || !strchr(any_of, *in->at))
		return false;
	in->at++;
	return true;
}

/* Exactly n digits. */
static bool read_digits(struct text *in, int n, int *ret_number)
{
	int number = 0;
	for (int i = 0; i < n; i++, in->at++) {
		if (!is_digit(in))
			return false;
		number = number * 10 + (*in->at - '0');
	}
	*ret_number = number;
	return true;
}

/* `.` and digits, as milliseconds; 0 if there are none. */
static bool read_fraction(struct text *in, int *ret_ms)
{
	int ms = 0, weight = 100;
	if (skip(in, ".")) {
		if (!is_digit(in))
			return false;
		for (; is_digit(in); in->at++, weight /= 10)
			ms += weight * (*in->at - '0');
	}
	*ret_ms = ms;
	return true;
}

/* --- numbers ------------------------------------------------------------------------------------------------------- */

/* digits × 10^scale. */
struct decimal {
	uint64_t digits;
	int scale;
};

/* More digits than 64 bits hold are too many before the point, and finer than anything behind it. */
static bool read_mantissa(struct text *in, bool is_fraction, struct decimal *number)
{
	const uint8_t *start = in->at;
	for (; is_digit(in); in->at++) {
		if (number->digits <= (UINT64_MAX - 9) / 10) {
			number->digits = number->digits * 10 + (uint64_t)(*in->at - '0');
			number->scale -= is_fraction;
		} else if (!is_fraction) {
			return false;
		}
	}
	return in->at != start;
}

/* As in JSON: small programs write 1.764112345e9. */
static bool read_exponent(struct text *in, int *ret_exponent)
{
	int exponent = 0, n = 0;
	if (!skip(in, "eE"))
		return true;
	bool is_negative = in->at < in->end && *in->at == '-';
	(void)skip(in, "+-");
	for (; is_digit(in) && n < 3; in->at++, n++)
		exponent = exponent * 10 + (*in->at - '0');
	*ret_exponent = is_negative ? -exponent : exponent;
	return n > 0;
}

static bool split(struct decimal number, uint64_t *ret_whole, int *ret_thousandths)
{
	int thousandths = 0;
	for (; number.scale > 0 && number.digits; number.scale--) {
		if (number.digits > UINT64_MAX / 10)
			return false;
		number.digits *= 10;
	}
	for (; number.scale < 0 && (number.digits || thousandths); number.scale++) {
		thousandths = thousandths / 10 + (int)(number.digits % 10) * 100;
		number.digits /= 10;
	}
	*ret_whole = number.digits;
	*ret_thousandths = thousandths;
	return true;
}

static int64_t by_size(uint64_t whole, int thousandths)
{
	if (whole < UINT64_C(100000000000))
		return (int64_t)whole * 1000 + thousandths;
	if (whole < UINT64_C(100000000000000))
		return (int64_t)whole;
	return (int64_t)(whole < UINT64_C(100000000000000000) ? whole / 1000 : whole / 1000000);
}

static bool read_number(struct text in, int64_t *ret_ms)
{
	struct decimal number = {0, 0};
	uint64_t whole;
	int exponent = 0, thousandths;
	bool is_negative = skip(&in, "-");
	if (!read_mantissa(&in, false, &number) || (skip(&in, ".") && !read_mantissa(&in, true, &number)) ||
		!read_exponent(&in, &exponent) || in.at != in.end)
		return false;
	number.scale += exponent;
	if (!split(number, &whole, &thousandths))
		return false;
	*ret_ms = is_negative ? -by_size(whole, thousandths) : by_size(whole, thousandths);
	return true;
}

/* --- dates ----------------------------------------------------------------------------------------------------------- */

struct date {
	int year, month, day, hour, minute, second, ms;
	int offset_minutes;
};

static bool is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static bool is_real(const struct date *date)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	if (date->month < 1 || date->month > 12 || date->day < 1)
		return false;
	if (date->day > days[date->month - 1] + (date->month == 2 && is_leap(date->year)))
		return false;
	return date->hour < 24 && date->minute < 60 && date->second <= 60; /* 60: a leap second */
}

static bool read_offset(struct text *in, int *ret_minutes)
{
	int hours, minutes;
	if (skip(in, "Zz")) {
		*ret_minutes = 0;
		return true;
	}
	bool west = in->at < in->end && *in->at == '-';
	if (!skip(in, "+-") || !read_digits(in, 2, &hours) || !skip(in, ":") || !read_digits(in, 2, &minutes))
		return false;
	*ret_minutes = (west ? -1 : 1) * (hours * 60 + minutes);
	return hours < 24 && minutes < 60;
}

static bool read_date(struct text in, struct date *ret_date)
{
	struct date *date = ret_date;
	bool well_formed = read_digits(&in, 4, &date->year) && skip(&in, "-") && read_digits(&in, 2, &date->month) &&
			   skip(&in, "-") && read_digits(&in, 2, &date->day) && skip(&in, "Tt ") &&
			   read_digits(&in, 2, &date->hour) && skip(&in, ":") && read_digits(&in, 2, &date->minute) &&
			   skip(&in, ":") && read_digits(&in, 2, &date->second) && read_fraction(&in, &date->ms) &&
			   read_offset(&in, &date->offset_minutes);
	return well_formed && in.at == in.end && is_real(date);
}

/* Days since 1970-01-01: those of whole years, then those of months in a year that begins with March, whose leap day is
 * its last one. */
static int64_t days_of(const struct date *date)
{
	int year = date->month > 2 ? date->year : date->year - 1;
	int month = date->month > 2 ? date->month - 3 : date->month + 9;
	int64_t days = (int64_t)year * 365 + year / 4 - year / 100 + year / 400;
	if (year < 0) /* January and February of the year 0 */
		days--;
	return days + (153 * month + 2) / 5 + date->day - 1 - 719468;
}

bool kafka_timestamp_read(struct slice text, int64_t *ret_ms)
{
	struct date date;
	if (text.len == 0)
		return false;
	struct text in = {text.data, text.data + text.len};
	if (read_number(in, ret_ms))
		return true;
	if (!read_date(in, &date))
		return false;
	int64_t minutes = days_of(&date) * 1440 + date.hour * 60 + date.minute - date.offset_minutes;
	*ret_ms = (minutes * 60 + date.second) * 1000 + date.ms;
	return true;
}
