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

static bool read_number(struct text in, int64_t *ret_ms)
{
	uint64_t number = 0;
	int fraction_ms;
	const uint8_t *start = in.at;
	for (; is_digit(&in); in.at++) {
		if (number > (UINT64_MAX - 9) / 10)
			return false;
		number = number * 10 + (uint64_t)(*in.at - '0');
	}
	if (in.at == start || !read_fraction(&in, &fraction_ms) || in.at != in.end)
		return false;
	if (number < UINT64_C(100000000000))
		*ret_ms = (int64_t)number * 1000 + fraction_ms;
	else if (number < UINT64_C(100000000000000))
		*ret_ms = (int64_t)number;
	else if (number < UINT64_C(100000000000000000))
		*ret_ms = (int64_t)(number / 1000);
	else
		*ret_ms = (int64_t)(number / 1000000);
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
