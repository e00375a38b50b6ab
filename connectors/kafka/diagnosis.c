/* SPDX-License-Identifier: Apache-2.0
 *
 * What the library says when TLS or SASL do not fit, as found by trying it with Apache Kafka 4.1: most of it is a broker
 * that hangs up, and the state in which it does so.
 */
#include "connectors/kafka/diagnosis.h"

#include <stdio.h>
#include <string.h>

#include <openssl/x509_vfy.h>

#include "connectors/kafka/verdict.h"

void kafka_diagnose_certificate(char *sentence, size_t size, int error, int depth, const char *broker)
{
	const char *whose =
		depth == 0 ? "the broker's certificate" : "an authority's certificate in the broker's chain";
	switch (error) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		snprintf(sentence, size, "%s has expired (broker %s); renew it, or correct this machine's clock", whose,
			broker);
		break;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		snprintf(
			sentence, size, "%s is not valid yet (broker %s); correct this machine's clock", whose, broker);
		break;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		snprintf(sentence, size,
			"the broker's certificate is for another host than %s; use a name of the certificate, in "
			"`brokers` and in the broker's advertised.listeners",
			broker);
		break;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		snprintf(sentence, size,
			"the broker's certificate is signed by an authority that is not trusted here (broker %s); set "
			"tls.ca to the authority that signed it",
			broker);
		break;
	default:
		snprintf(sentence, size, "%s does not verify: %s (broker %s)", whose,
			X509_verify_cert_error_string(error), broker);
		break;
	}
}

/* What the text holds, and what that means. The first row that fits counts. */
struct sign {
	const char *holds, *too; /* too: NULL, or what it must hold besides */
	const char *sentence; /* NULL: made by who knows more */
	bool hang_up; /* means nothing from a broker that has let us in before */
};

const char kafka_hint_not_tls[] = "the broker hangs up during the TLS handshake; is this its TLS listener? Else use "
				  "its TLS port, or leave tls out";
const char kafka_hint_wants_tls[] =
	"the broker hangs up at the first request; does this listener want TLS? Then set tls";
const char kafka_hint_not_sasl[] = "this listener does not use SASL; take another port, or leave sasl out";
const char kafka_hint_login_cut[] =
	"the broker hangs up during authentication; is this its SASL listener? Else leave sasl out";

static const struct sign signs[] = {
	/* A client that cannot know better is told so by the broker's alert; in TLS 1.3 after the handshake. */
	{"SSL alert number", "certificate", NULL, false},
	{"SSL alert number", "unknown ca", NULL, false},
	{"SSL alert number", "protocol version",
		"the broker speaks no version of TLS that this machine takes; see its ssl.enabled.protocols", false},
	{"SSL alert number", "handshake failure",
		"the broker ended the TLS handshake; it has no cipher in common, or wants a client certificate "
		"(tls.cert and tls.key)",
		false},
	{"wrong version number", NULL, kafka_hint_not_tls, false},
	{"SSL_HANDSHAKE", "unexpected eof", kafka_hint_not_tls, true},
	{"SSL_HANDSHAKE", "Disconnected", kafka_hint_not_tls, true},
	{"connecting to a SSL listener", NULL, kafka_hint_wants_tls, true},
	{"broker might require SASL", NULL,
		"the broker hangs up as soon as it is asked for something; does this listener want SASL? Then set sasl",
		true},
	{"not valid in current SASL state", NULL, kafka_hint_not_sasl, false},
	{"in state AUTH_", "Disconnected", kafka_hint_login_cut, true},
};

/* What comes after `mark`, up to " (after 5ms in state AUTH_REQ, 3 identical error(s) suppressed)". */
static bool after_mark(const char *text, const char *mark, char *rest, size_t size)
{
	const char *at = strstr(text, mark);
	if (!at)
		return false;
	at += strlen(mark);
	const char *end = strstr(at, " (after ");
	snprintf(rest, size, "%.*s", end ? (int)(end - at) : (int)strlen(at), at);
	for (char *quote = rest; (quote = strchr(quote, '"')) != NULL;)
		*quote = '\''; /* the log puts the sentence in quotes */
	return true;
}

bool kafka_diagnose_alert(bool has_certificate, const char *text, char *sentence, size_t size)
{
	if (!strstr(text, "certificate") && !strstr(text, "unknown ca"))
		return false;
	if (!has_certificate)
		snprintf(sentence, size, "the broker wants a client certificate; set tls.cert and tls.key");
	else
		snprintf(sentence, size,
			"the broker refuses our client certificate (%s); its authority must be one that the broker "
			"trusts, and it must not have expired; see tls.cert",
			strstr(text, "expired")      ? "expired"
			: strstr(text, "revoked")    ? "revoked"
			: strstr(text, "unknown ca") ? "unknown authority"
						     : "not accepted");
	return true;
}

void kafka_diagnose_mechanism(const struct kafka_sasl *sasl, const char *offered, char *sentence, size_t size)
{
	snprintf(sentence, size, "the broker does not offer %s here but %s; see sasl.mechanism",
		kafka_sasl_mechanism(sasl), offered[0] ? offered : "nothing");
}

void kafka_diagnose_login(const struct kafka_sasl *sasl, const char *said, char *sentence, size_t size)
{
	if (kafka_sasl_uses_tokens(sasl))
		snprintf(sentence, size,
			"the broker refuses the token (it says: %s); compare issuer, audience, scope and keys of the "
			"token "
			"endpoint with what the broker wants",
			said);
	else
		snprintf(sentence, size,
			"the broker refuses user name or password (it says: %s); see sasl.username, sasl.password and "
			"sasl.mechanism",
			said);
}

/* What a broker, or the token's side, says of who we are. */
static bool describe_login(const struct kafka_sasl *sasl, const char *text, char *sentence, size_t size)
{
	char rest[300];
	if (after_mark(text, "Failed to acquire SASL OAUTHBEARER token: ", rest, sizeof rest))
		snprintf(sentence, size, "no token to log in with: %s", rest);
	else if (after_mark(text, "Unsupported SASL mechanism: broker's supported mechanisms: ", rest, sizeof rest))
		kafka_diagnose_mechanism(sasl, rest, sentence, size);
	else if (after_mark(text, "SASL authentication error: ", rest, sizeof rest))
		kafka_diagnose_login(sasl, rest, sentence, size);
	else
		return false;
	return true;
}

bool kafka_diagnose(const struct kafka_settings *settings, bool was_up, rd_kafka_resp_err_t err, const char *text,
	const char *finding, char *sentence, size_t size)
{
	if (strstr(text, "certificate verify failed")) {
		snprintf(sentence, size, "%s",
			finding[0] ? finding : "the broker's certificate does not verify; see tls.ca");
		return true;
	}
	/* A broker that was lost on the way, at times under the code of a refusal. */
	if (strstr(text, "SASL") && strstr(text, "failed: Local: "))
		return false;
	if (describe_login(&settings->sasl, text, sentence, size))
		return true;
	for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
		if (!strstr(text, signs[i].holds) || (signs[i].too && !strstr(text, signs[i].too)))
			continue;
		if (signs[i].hang_up && was_up)
			return false;
		if (signs[i].sentence)
			snprintf(sentence, size, "%s", signs[i].sentence);
		else
			kafka_diagnose_alert(settings->tls.cert != NULL, text, sentence, size);
		return true;
	}
	if (!kafka_needs_person(err))
		return false;
	after_mark(text, "", sentence, size);
	return true;
}
