# SPDX-License-Identifier: Apache-2.0
liblinkspan_a_SOURCES += \
	connectors/coap/content_format.c \
	connectors/coap/content_format.h \
	connectors/coap/dedupe.c \
	connectors/coap/dedupe.h \
	connectors/coap/freshness.c \
	connectors/coap/freshness.h \
	connectors/coap/link_format.c \
	connectors/coap/link_format.h \
	connectors/coap/path.c \
	connectors/coap/path.h \
	connectors/coap/psk_file.c \
	connectors/coap/psk_file.h \
	connectors/coap/rate.c \
	connectors/coap/rate.h \
	connectors/coap/reassembly.c \
	connectors/coap/reassembly.h
