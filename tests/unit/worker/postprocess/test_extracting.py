"""Every extracting rule: what it finds in Chinese and English, and what it lets stand."""

from __future__ import annotations

import json

import pytest

from shared.catalog.rules import BUILT_IN, RuleBook
from worker.postprocess import Postprocessor

FIELDS = {rule.name: rule.field for rule in BUILT_IN}


def extracted(rule, text):
    processed = Postprocessor(RuleBook()).process(text, [rule])
    assert processed.text == text
    assert processed.notices == ()
    return processed.fields[FIELDS[rule]]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("电话13812345678联系人", ["13812345678"]),
        ("联系电话：138 1234 5678。", ["13812345678"]),
        ("手机:+86 139-1234-5678,备用+8613712345678", ["13912345678", "13712345678"]),
        ("Call (+86)15012345678 or 0086 15112345678.", ["15012345678", "15112345678"]),
        ("86-13812345678", ["13812345678"]),
        ("1381-234-5678", ["13812345678"]),
        ("Tel13812345678", ["13812345678"]),
        ("13812345678/13912345678,13812345678", ["13812345678", "13912345678"]),
        ("13812345678 13912345678", ["13812345678", "13912345678"]),
        ("138 1234 5678 139 1234 5678", ["13812345678", "13912345678"]),
        ("房间1986 13812345678", ["13812345678"]),
        ("In 1986 13812345678 rang.", ["13812345678"]),
    ],
)
def test_mobile_numbers_are_found_as_they_are_printed(text, numbers):
    assert extracted("cn_phone", text) == numbers


@pytest.mark.parametrize(
    "text",
    [
        "12812345678",
        "1381234567",
        "138123456789",
        "订单号20261381234567800",
        "6222021381234567890",
        "4111 1381 2345 6789",
        "1381 2345 6789 0123",
        "6222 0200 0138 1234 5678",
        "3.13812345678",
        "13812345678.5",
        "2026-13812345678",
        "13812345678abc",
        "13812345678_9",
        "固定电话010-12345678",
        "no number here, 没有号码",
        "",
    ],
)
def test_parts_of_longer_numbers_are_no_mobile_numbers(text):
    assert extracted("cn_phone", text) == []


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("邮箱zhang.san@example.com。", ["zhang.san@example.com"]),
        ("写信给a@b.cn或者c_d+e@mail.example.com.cn！", ["a@b.cn", "c_d+e@mail.example.com.cn"]),
        ("E-mail: info@my-shop.de, sales@my-shop.de.", ["info@my-shop.de", "sales@my-shop.de"]),
        ("<13812345678@qq.com>", ["13812345678@qq.com"]),
        ("a@b.com a@b.com", ["a@b.com"]),
    ],
)
def test_addresses_are_found_without_the_sentence_around_them(text, addresses):
    assert extracted("email", text) == addresses


@pytest.mark.parametrize(
    "text",
    [
        "a@b",
        "a@b.c",
        "@home",
        "a@@b.com",
        "a@b@c.com",
        "微博@张三",
        "a@b.com1",
        "a@-b.com",
        "a@b.com-c",
        "a@b.com@c.com",
    ],
)
def test_broken_addresses_are_left(text):
    assert extracted("email", text) == []


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22",
        "2026/11/22",
        "2026.11.22",
        "2026/11/22 14:05",
        "2026-11-22T14:05:00Z",
        "22.11.2026",
        "am 22.11.2026.",
        "22/11/2026",
        "11/22/2026",
        "22-11-2026",
        "Nov 22 2026",
        "Nov. 22, 2026",
        "November 22nd, 2026",
        "NOV 22,2026",
        "22 Nov 2026",
        "22nd of November 2026",
        "22-Nov-2026",
        "日期:2026年11月22日星期日",
        "2026 年 11 月 22 号",
        "二〇二六年十一月二十二日",
        "二零二六年十一月廿二日",
        "开票日期2026-11-22金额",
    ],
)
def test_a_date_is_told_as_iso_however_it_is_printed(text):
    assert extracted("date", text) == ["2026-11-22"]


@pytest.mark.parametrize(
    ("text", "dates"),
    [
        ("有效期2016.03.01-2036.03.01", ["2016-03-01", "2036-03-01"]),
        ("2026-11-22/2026-11-30", ["2026-11-22", "2026-11-30"]),
        ("二〇二六年十月十日", ["2026-10-10"]),
        ("Due 5 May 2026, not 2026年5月4日", ["2026-05-05", "2026-05-04"]),
        ("22 May 2026年5月1日", ["2026-05-22"]),
        ("03/04/2026", ["03/04/2026"]),
        ("5-6-2026", ["5-6-2026"]),
        ("04/04/2026", ["2026-04-04"]),
        ("3.4.2026", ["2026-04-03"]),
        ("2024-02-29", ["2024-02-29"]),
    ],
)
def test_dates_come_in_their_order_and_unclear_ones_as_printed(text, dates):
    assert extracted("date", text) == dates


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-30",
        "2026年13月1日",
        "31/31/2026",
        "12026-11-22",
        "2026-11-22-001",
        "1.22.11.2026",
        "192.168.1.2026",
        "22/11/20261",
        "Summary 22 2026",
        "Dismay 22 2026",
        "Room 5, May",
        "0026-11-22",
        "二〇二六年十三月一日",
        "二〇二六年十十月一日",
        "11月22日",
    ],
)
def test_what_is_no_day_of_a_calendar_is_no_date(text):
    assert extracted("date", text) == []


@pytest.mark.parametrize(
    ("text", "sums"),
    [
        ("合计¥1,234.50元", ["¥1,234.50元"]),
        ("总价：￥99", ["￥99"]),
        ("实付12.30元，找零 5 元", ["12.30元", "5 元"]),
        ("人民币 3,000 元整", ["人民币 3,000 元"]),
        ("注册资本500万元", ["500万元"]),
        ("Total $5.00, tax USD 3", ["$5.00", "USD 3"]),
        ("It costs 1,234.50 USD or 1.234,50 €.", ["1,234.50 USD", "1.234,50 €"]),
        ("1 234,50 €", ["1 234,50 €"]),
        ("US$20 HK$30 €5,50 £7", ["US$20", "HK$30", "€5,50", "£7"]),
        ("$3.5 million", ["$3.5 million"]),
        ("退款 -¥5.00 和 ¥-6", ["-¥5.00", "¥-6"]),
        ("10-20元", ["20元"]),
        ("10元-20元,余额-3元", ["10元", "20元", "-3元"]),
        ("(-$5) to 8 €", ["-$5", "8 €"]),
        ("苹果 2 12.30元", ["12.30元"]),
        ("¥5 ¥5", ["¥5"]),
    ],
)
def test_sums_of_money_are_found_as_printed(text, sums):
    assert extracted("amount", text) == sums


@pytest.mark.parametrize(
    "text",
    [
        "1,234.50",
        "2026元旦",
        "12元素",
        "$",
        "¥",
        "5块蛋糕",
        "3 USDT",
        "ABUSD 3",
        "¥1,2345",
        "5%",
        "$5.5.5",
        "1,2345元",
        "1.2.3元",
    ],
)
def test_numbers_without_a_currency_are_no_sums(text):
    assert extracted("amount", text) == []


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("身份证号11010519491231002X有效", ["11010519491231002X"]),
        ("ID: 11010519491231002x.", ["11010519491231002X"]),
        ("110105 19491231 002X", ["11010519491231002X"]),
        ("440524188001010014,11010519491231002X", ["440524188001010014", "11010519491231002X"]),
    ],
)
def test_identity_numbers_with_the_right_check_digit_are_found(text, numbers):
    assert extracted("cn_id_card", text) == numbers


@pytest.mark.parametrize(
    "text",
    [
        "110105194912310021",
        "11010519491331002X",
        "990105194912310023",
        "1110105194912310021",
        "A11010519491231002X",
        "11010519491231002X5",
        "9-11010519491231002X",
        "身份证号：无",
    ],
)
def test_identity_numbers_that_do_not_add_up_are_left(text):
    assert extracted("cn_id_card", text) == []


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("卡号6222020200112230004。", ["6222020200112230004"]),
        ("Card: 4111 1111 1111 1111", ["4111111111111111"]),
        ("5500-0000-0000-0004", ["5500000000000004"]),
        ("6222 0202 0011 2230 004", ["6222020200112230004"]),
        ("3782 822463 10005", ["378282246310005"]),
        ("4111 1111 1111 1111 5500 0000 0000 0004", ["4111111111111111", "5500000000000004"]),
        ("4222222222222", ["4222222222222"]),
        ("622202 0200112230004", ["6222020200112230004"]),
    ],
)
def test_card_numbers_with_the_right_sum_are_found(text, numbers):
    assert extracted("bank_card", text) == numbers


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112",
        "411111111111111",
        "41111111111111111111",
        "0000000000000000",
        "1732243243000",
        "A4111111111111111",
        "4111 11 11111111 11",
        "11010519491231002X",
        "没有卡号",
    ],
)
def test_numbers_that_fail_the_sum_are_no_cards(text):
    assert extracted("bank_card", text) == []


def test_an_identity_number_that_passes_luhn_too_is_no_card():
    both = "510104199001010019"
    assert extracted("cn_id_card", both) == [both]
    assert extracted("bank_card", both) == []


def members(text):
    return Postprocessor(RuleBook()).process(text, ["json_fields"])


def test_the_members_of_a_json_answer_become_fields():
    fenced = '```json\n{"金额": 12.30, "items": ["a", "b", "a"], "none": null}\n```'
    assert members(fenced).fields == {"金额": ["12.30"], "items": ["a", "b"], "none": []}
    mixed = members('{"paid": true, "who": {"name": "李"}, "lines": "1\n2"} and more')
    assert mixed.fields == {"paid": ["true"], "who": ['{"name": "李"}'], "lines": ["1\n2"]}
    assert mixed.notices == ()


@pytest.mark.parametrize(
    "text",
    ["", "no object", "没有", '{"cut": "off', "[1, 2]", "{" * 30_000, '{"a":' * 5000],
)
def test_an_answer_without_a_whole_json_object_is_told_as_such(text):
    processed = members(text)
    assert (processed.text, processed.fields) == (text, {})
    (notice,) = processed.notices
    assert (notice.code, "no complete JSON object" in notice.detail) == ("rule_left_out", True)


def test_only_so_many_members_are_taken():
    text = json.dumps({f"k{n}": n for n in range(150)})
    assert list(members(text).fields) == [f"k{n}" for n in range(100)]
