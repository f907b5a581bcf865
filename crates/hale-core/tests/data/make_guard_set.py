"""Makes guard_set.tsv, by which the detectors of the content guard are measured.

    pip install phonenumbers==9.0.43 Faker==40.54.0
    python make_guard_set.py > guard_set.tsv

Every value comes from these two libraries, none from the patterns of the detectors. Columns: kind (`-` for a text that
holds nothing), the value, the text. The seed is fixed, so that two runs give the same file.
"""

import random
import phonenumbers
from faker import Faker
from phonenumbers import PhoneNumberFormat, PhoneNumberType

SEED = 20261122
EACH = 220

chance = random.Random(SEED)
Faker.seed(SEED)
fake = Faker("en_US")
LOCALES = ["de_DE", "fr_FR", "en_GB", "es_ES", "it_IT", "nl_NL", "pl_PL", "pt_PT", "fi_FI", "de_AT", "de_CH", "no_NO", "tr_TR"]
others = [Faker(locale) for locale in LOCALES]

AROUND = [
    "{}", "It is {}.", "Please note {} for me", "({})", "value: {},", '{{"field": "{}"}}', "Ask for {} today", "<td>{}</td>",
    "from {} to her", "| {} |", "{} is right, isn't it?", "old:{}",
]


def email():
    return chance.choice([fake.email, fake.company_email, fake.safe_email, fake.ascii_email])()


def card():
    number = fake.credit_card_number()
    if len(number) == 16 and chance.random() < 0.4:
        return chance.choice([" ", "-"]).join(number[n : n + 4] for n in range(0, 16, 4))
    return number


def iban():
    account = chance.choice(others).iban()
    if chance.random() < 0.4:
        return " ".join(account[n : n + 4] for n in range(0, len(account), 4))
    return account


def ip():
    return chance.choice([fake.ipv4, fake.ipv4_public, fake.ipv4_private, fake.ipv6])()


def phone():
    """A valid number of any country: an example of the metadata, with other last digits if these are valid too."""
    while True:
        region = chance.choice(sorted(phonenumbers.SUPPORTED_REGIONS))
        kind = chance.choice([PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE])
        number = phonenumbers.example_number_for_type(region, kind)
        if number is None:
            continue
        for _ in range(20):
            other = phonenumbers.PhoneNumber()
            other.merge_from(number)
            other.national_number = number.national_number // 1000 * 1000 + chance.randrange(1000)
            if phonenumbers.is_valid_number(other):
                number = other
                break
        forms = [PhoneNumberFormat.E164, PhoneNumberFormat.INTERNATIONAL, PhoneNumberFormat.INTERNATIONAL]
        if region == "US":
            forms.append(PhoneNumberFormat.NATIONAL)
        return phonenumbers.format_number(number, chance.choice(forms))


def american():
    number = phonenumbers.example_number_for_type("US", PhoneNumberType.FIXED_LINE)
    while True:
        number.national_number = chance.randrange(2_000_000_000, 9_999_999_999)
        if phonenumbers.is_valid_number(number):
            return phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)


def digits(least, most):
    return "".join(chance.choice("0123456789") for _ in range(chance.randint(least, most)))


def broken(value):
    """With one digit changed, so that no check digit holds."""
    places = [place for place, letter in enumerate(value) if letter.isdigit()]
    place = places[-1]
    other = chance.choice([digit for digit in "0123456789" if digit != value[place]])
    return value[:place] + other + value[place + 1 :]


def no_phone():
    while True:
        text = "+" + digits(7, 13)
        try:
            if phonenumbers.is_possible_number(phonenumbers.parse(text)):
                continue
        except phonenumbers.NumberParseException:
            pass
        return text


NOTHING = [
    fake.uuid4, fake.md5, fake.sha1, fake.sha256, fake.iso8601, fake.date, fake.time, fake.isbn13, fake.isbn10, fake.ean13, fake.ean8,
    fake.pricetag, fake.license_plate, fake.mac_address, fake.user_agent, fake.file_path, fake.address, fake.company, fake.sentence,
    fake.swift11, fake.latitude, fake.longitude, fake.unix_time, fake.job, fake.color, fake.user_name, fake.slug, fake.hostname,
    fake.port_number, fake.year, fake.building_number, fake.postcode, fake.android_platform_token, fake.uri_path,
    lambda: digits(4, 18), lambda: digits(16, 16), lambda: digits(9, 10), lambda: broken(card()), lambda: broken(iban()), no_phone,
    lambda: ".".join(str(chance.randrange(40)) for _ in range(3)), lambda: "-".join(digits(4, 4) for _ in range(3)),
    lambda: f"{chance.randrange(2000, 2030)}-{digits(3, 3)}-{digits(4, 4)}", lambda: fake.bothify("???-########").upper(),
]


def line(kind, value):
    value = " ".join(str(value).split())
    text = chance.choice(AROUND).format(value)
    print(kind, value if kind != "-" else "", text, sep="\t")


for kind, make in [
    ("email", email), ("card", card), ("iban", iban), ("us_ssn", fake.ssn), ("ip", ip), ("phone", phone), ("phone", american),
]:
    for _ in range(EACH // 2 if make is american else EACH):
        line(kind, make())
for n in range(2 * EACH * 7):
    line("-", NOTHING[n % len(NOTHING)]())
