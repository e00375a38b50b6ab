/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of statuses, and times as HTTP writes them. Dates are read by hand: strptime knows locales, and curl_getdate
 * takes almost anything for a date.
 */
#include "connectors/http/out_verdict.h"

#include <stddef.h>

enum http_verdict http_verdict_of(long status, bool wait)
{
	switch (status) {
	case 401:
	case 403:
	case 407:
		return HTTP_NO_ACCESS;
	case 410:
		return HTTP_GONE;
	case 429:
	case 503:
		return wait ? HTTP_HOLD : HTTP_AGAIN;
	case 408:
	case 409:
	case 425:
		return HTTP_AGAIN;
	default:
		break;
	}
	if (status >= 200 && status < 300)
		return HTTP_TAKEN;
	return status >= 300 && status < 500 ? HTTP_REFUSED : HTTP_AGAIN;
}

bool http_verdict_is_failure(long status)
{
	return status < 200 || status >= 500 || status == 429;
}

bool http_verdict_is_redirect(long status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* --- dates -------------------------------------------------------------------------------------------------------- */

/* What is left of a text; each reader moves on, or says no. */
struct reading {
	const uint8_t *at, *end;
};

static bool read_text(struct reading *in, const char *text)
{
	size_t len = strlen(text);
	if ((size_t)(in->end - in->at) < len || memcmp(in->at, text, len) != 0)
		return false;
	in->at += len;
	return true;
}

static bool read_digits(struct reading *in, int n, int *ret_value)
{
	int value = 0;
	for (int i = 0; i < n; i++, in->at++) {
		if (in->at == in->end || *in->at < '0' || *in->at > '9')
			return false;
		value = value * 10 + (*in->at - '0');
	}
	*ret_value = value;
	return true;
}

static bool read_name(struct reading *in, const char *const *names, int n, int *ret_index)
{
	for (int i = 0; i < n; i++) {
		if (read_text(in, names[i])) {
			*ret_index = i;
			return true;
		}
	}
	return false;
}

struct date {
	int year, month, day, hour, minute, second;
};

static const char *const months[] = {
	"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char *const long_days[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};

static bool read_time(struct reading *in, struct date *date)
{
	return read_digits(in, 2, &date->hour) && read_text(in, ":") && read_digits(in, 2, &date->minute) &&
	       read_text(in, ":") && read_digits(in, 2, &date->second);
}

/* Sun, 06 Nov 1994 08:49:37 GMT */
static bool read_imf(struct reading in, struct date *date)
{
	int day;
	return read_name(&in, days, 7, &day) && read_text(&in, ", ") && read_digits(&in, 2, &date->day) &&
	       read_text(&in, " ") && read_name(&in, months, 12, &date->month) && read_text(&in, " ") &&
	       read_digits(&in, 4, &date->year) && read_text(&in, " ") && read_time(&in, date) &&
	       read_text(&in, " GMT") && in.at == in.end;
}

/* Sunday, 06-Nov-94 08:49:37 GMT; what would be more than 50 years ahead is past (RFC 9110 §5.6.7), here: from 70 on. */
static bool read_rfc850(struct reading in, struct date *date)
{
	int day;
	if (!read_name(&in, long_days, 7, &day) || !read_text(&in, ", ") || !read_digits(&in, 2, &date->day) ||
		!read_text(&in, "-") || !read_name(&in, months, 12, &date->month) || !read_text(&in, "-") ||
		!read_digits(&in, 2, &date->year) || !read_text(&in, " ") || !read_time(&in, date) ||
		!read_text(&in, " GMT") || in.at != in.end)
		return false;
	date->year += date->year < 70 ? 2000 : 1900;
	return true;
}

/* Sun Nov  6 08:49:37 1994 */
static bool read_asctime(struct reading in, struct date *date)
{
	int day;
	return read_name(&in, days, 7, &day) && read_text(&in, " ") && read_name(&in, months, 12, &date->month) &&
	       read_text(&in, " ") &&
	       (read_text(&in, " ") ? read_digits(&in, 1, &date->day) : read_digits(&in, 2, &date->day)) &&
	       read_text(&in, " ") && read_time(&in, date) && read_text(&in, " ") && read_digits(&in, 4, &date->year) &&
	       in.at == in.end;
}

/* Days since 1970-01-01 in the Gregorian calendar, for years from 1970 on. */
static int64_t days_since_epoch(int year, int month, int day)
{
	static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
	int64_t y = year - 1;
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	int64_t until_year = y * 365 + y / 4 - y / 100 + y / 400 - 719162;
	return until_year + before[month] + (leap && month > 1) + day - 1;
}

bool http_date(struct slice text, int64_t *ret_s)
{
	if (text.len == 0)
		return false;
	struct reading in = {text.data, text.data + text.len};
	struct date date = {0};
	if (!(read_imf(in, &date) || read_rfc850(in, &date) || read_asctime(in, &date)))
		return false;
	if (date.year < 1970 || date.day < 1 || date.day > 31 || date.hour > 23 || date.minute > 59 || date.second > 60)
		return false;
	*ret_s = ((days_since_epoch(date.year, date.month, date.day) * 24 + date.hour) * 60 + date.minute) * 60 +
		 date.second;
	return true;
}

/* --- Retry-After -------------------------------------------------------------------------------------------------- */

static bool read_seconds(struct slice value, uint64_t *ret_s)
{
	uint64_t seconds = 0;
	for (size_t i = 0; i < value.len; i++) {
		if (value.data[i] < '0' || value.data[i] > '9')
			return false;
		if (seconds < HTTP_MAX_WAIT_MS)
			seconds = seconds * 10 + (uint64_t)(value.data[i] - '0');
	}
	*ret_s = seconds;
	return value.len > 0;
}

bool http_retry_after(struct slice value, struct slice date, int64_t now_s, uint64_t *ret_wait_ms)
{
	uint64_t seconds;
	int64_t at_s;
	if (!read_seconds(value, &seconds)) {
		if (!http_date(value, &at_s))
			return false;
		http_date(date, &now_s); /* the receiver's clock need not be right, only its own */
		seconds = at_s > now_s ? (uint64_t)(at_s - now_s) : 0;
	}
	*ret_wait_ms = seconds < HTTP_MAX_WAIT_MS / 1000 ? seconds * 1000 : HTTP_MAX_WAIT_MS;
	return true;
}
