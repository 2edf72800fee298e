# ruff: noqa: E501  (sentences of conversations read better unbroken)
"""The words of the demo: who asks Tidemark, a maker of stock and order software for shops, and what about.

Each story is a conversation. The texts hold names in braces (`{invoice}`, `{browser}`, …) which
the generator fills in; they are ours, nobody else's text is ever treated like this.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Story:
    """One kind of request and how the conversation about it goes.

    `turns` are pairs of what happens and what is said: `say` (an agent answers), `ask` (an agent
    answers and waits), `solve` (an agent answers and resolves), `answer` (the customer writes),
    `note` (an agent writes an internal note), `raise` (an agent raises the priority; the text is
    the new one), `team` (the ticket goes to the team of that name).
    """

    category: str
    priority: str
    tags: tuple[str, ...]
    subjects: tuple[str, ...]
    description: str
    turns: tuple[tuple[str, str], ...]
    weight: int = 3


# Name, colour, description, and the categories below it.
CATEGORIES: tuple[tuple[str, str, str, tuple[tuple[str, str], ...]], ...] = (
    (
        "Account & access",
        "#2563EB",
        "Getting in, and who may do what.",
        (("Sign-in", "#3B82F6"), ("Single sign-on", "#1D4ED8"), ("Users and roles", "#60A5FA")),
    ),
    (
        "Billing",
        "#059669",
        "Payment and subscription issues.",
        (("Invoices", "#10B981"), ("Payments", "#047857"), ("Plans and upgrades", "#34D399")),
    ),
    (
        "Integrations",
        "#7C3AED",
        "Other programs that talk to Tidemark.",
        (("API", "#8B5CF6"), ("Webhooks", "#6D28D9"), ("Shop connectors", "#A78BFA")),
    ),
    ("Mobile app", "#DB2777", "The app for iOS and Android.", (("Barcode scanning", "#EC4899"), ("Sync", "#BE185D"))),
    (
        "Orders & shipping",
        "#EA580C",
        "From the order to the parcel.",
        (("Shipping labels", "#F97316"), ("Returns", "#C2410C"), ("Stock levels", "#FB923C")),
    ),
    (
        "Data",
        "#0891B2",
        "Into Tidemark and out of it.",
        (("Exports", "#06B6D4"), ("Imports", "#0E7490"), ("Reports", "#22D3EE")),
    ),
    ("Ideas", "#CA8A04", "What Tidemark should be able to do.", ()),
)

# Name, domain, plan, year they came, seats, country.
ORGANIZATIONS: tuple[tuple[str, str, str, int, int, str], ...] = (
    ("Bergström & Söner", "bergstrom.example", "enterprise", 2019, 120, "Sweden"),
    ("Lumière Papeterie", "lumiere.example", "business", 2021, 34, "France"),
    ("Kilimanjaro Coffee", "kilimanjaro.example", "business", 2022, 18, "Tanzania"),
    ("Osaka Outdoor", "osaka-outdoor.example", "enterprise", 2020, 85, "Japan"),
    ("Casa Verde Muebles", "casaverde.example", "starter", 2024, 6, "Mexico"),
    ("Highland Wool", "highlandwool.example", "business", 2021, 22, "United Kingdom"),
    ("Blue Fjord Seafood", "bluefjord.example", "enterprise", 2018, 210, "Norway"),
    ("Tasman Cycles", "tasmancycles.example", "business", 2023, 15, "New Zealand"),
    ("Anatolia Ceramics", "anatolia.example", "starter", 2025, 4, "Türkiye"),
    ("Prairie Seed Company", "prairieseed.example", "business", 2020, 41, "Canada"),
    ("Sahyadri Spices", "sahyadri.example", "enterprise", 2021, 64, "India"),
    ("Vltava Toys", "vltava.example", "starter", 2024, 5, "Czechia"),
    ("Porto Cork Works", "portocork.example", "business", 2022, 27, "Portugal"),
    ("Lagos Light & Power", "lagoslight.example", "enterprise", 2022, 96, "Nigeria"),
    ("Pampas Leather", "pampas.example", "starter", 2023, 8, "Argentina"),
    ("Alpenblick Sport", "alpenblick.example", "business", 2019, 38, "Austria"),
    ("Hanseatic Tea Trading", "hanseatic.example", "enterprise", 2017, 140, "Germany"),
    ("Galway Books", "galwaybooks.example", "starter", 2025, 3, "Ireland"),
    ("Jeju Cosmetics", "jeju.example", "business", 2023, 45, "South Korea"),
    ("Cedar & Olive", "cedarolive.example", "starter", 2024, 7, "Lebanon"),
    ("Mekong Textiles", "mekong.example", "business", 2022, 52, "Viet Nam"),
    ("Polder Plants", "polderplants.example", "business", 2020, 19, "Netherlands"),
    ("Desert Bloom", "desertbloom.example", "starter", 2024, 9, "United States"),
    ("Harbour Marine Supply", "harbourmarine.example", "enterprise", 2019, 73, "Australia"),
)

# Name, and the number of their organisation above; None for people who write from home.
PEOPLE: tuple[tuple[str, int | None], ...] = (
    ("Astrid Bergström", 0), ("Nils Åkesson", 0), ("Karin Lindholm", 0),
    ("Camille Laurent", 1), ("Théo Marchand", 1),
    ("Neema Mushi", 2), ("Joseph Mwakasege", 2),
    ("Haruto Sato", 3), ("Aiko Yamamoto", 3), ("Ren Kobayashi", 3),
    ("Valentina Ramírez", 4), ("Jorge Castillo", 4),
    ("Fiona MacLeod", 5), ("Callum Fraser", 5),
    ("Ingrid Solberg", 6), ("Henrik Dahl", 6), ("Sunniva Haugen", 6), ("Ola Nordmann", 6),
    ("Aroha Ngata", 7), ("Ben Whitaker", 7),
    ("Elif Demir", 8),
    ("Emily Tremblay", 9), ("Noah Friesen", 9), ("Grace Cardinal", 9),
    ("Priya Kulkarni", 10), ("Arjun Deshmukh", 10), ("Meera Joshi", 10), ("Rohan Patil", 10),
    ("Tomáš Dvořák", 11), ("Eliška Nováková", 11),
    ("Beatriz Almeida", 12), ("João Ferreira", 12),
    ("Chidinma Eze", 13), ("Tunde Adeyemi", 13), ("Ngozi Okonkwo", 13),
    ("Martín Sosa", 14), ("Lucía Benítez", 14),
    ("Lukas Hofer", 15), ("Anna Steiner", 15),
    ("Greta Petersen", 16), ("Jens Brandt", 16), ("Fatma Yıldız", 16), ("Wiebke Claasen", 16),
    ("Siobhán Keane", 17),
    ("Kim Ji-woo", 18), ("Park Min-seo", 18),
    ("Rania Haddad", 19), ("Karim Khoury", 19),
    ("Nguyễn Thị Lan", 20), ("Trần Văn Minh", 20),
    ("Sanne de Vries", 21), ("Daan Bakker", 21),
    ("Jasmine Carter", 22), ("Miguel Ortega", 22),
    ("Oliver Hughes", 23), ("Charlotte Nguyen", 23), ("Matilda Ross", 23),
    ("Mwangi Kamau", None), ("Zofia Wiśniewska", None), ("Leila Farahani", None), ("Pekka Virtanen", None),
    ("Amélie Dubois", None), ("Samuel Osei", None), ("Isabella Rossi", None), ("Dimitris Papadopoulos", None),
    ("Hana Suzuki", None), ("Mohammed Al-Farsi", None), ("Ruth Goldberg", None), ("Ana Kovačević", None),
)  # fmt: skip

GREETINGS = (
    "Hi {first},",
    "Hello {first},",
    "Good morning {first},",
    "Hi {first}, thanks for writing.",
    "Dear {first},",
)
GREETINGS_AGAIN = (
    "Hi {first},",
    "Hi again {first},",
    "Thanks, {first}.",
    "Thank you for the details, {first}.",
    "{first},",
)
SIGN_OFFS = (
    "Best regards,\n{agent}",
    "Kind regards,\n{agent}",
    "Cheers,\n{agent}",
    "All the best,\n{agent}",
    "– {agent}",
)
CUSTOMER_OPENINGS = ("Hello,", "Hi there,", "Hi team,", "Good morning,", "Dear support,", "Hi,", "")
CUSTOMER_SIGN_OFFS = (
    "Thanks,\n{customer}",
    "Best,\n{first}",
    "Regards,\n{customer}",
    "Many thanks\n{first}",
    "{first}",
    "",
)

SLOTS: dict[str, tuple[str, ...]] = {
    "browser": ("Chrome 141", "Firefox 143", "Safari 26", "Edge 141", "Brave on Windows 11"),
    "phone": ("iPhone 15", "Pixel 9", "Galaxy S24", "iPhone SE", "Zebra TC52 handheld", "Galaxy A54"),
    "os": ("iOS 18.6", "iOS 26.0", "Android 15", "Android 14"),
    "app": ("4.8.0", "4.8.2", "4.9.0", "4.9.1"),
    "endpoint": ("/v2/orders", "/v2/products", "/v2/stock-levels", "/v2/shipments", "/v2/customers"),
    "carrier": ("DHL", "DPD", "PostNord", "UPS", "FedEx", "Royal Mail", "Australia Post"),
    "shop": ("Shopify", "WooCommerce", "Shopware", "Magento", "PrestaShop"),
    "idp": ("Okta", "Microsoft Entra ID", "Google Workspace", "Keycloak", "JumpCloud"),
    "plan": ("Starter", "Business", "Enterprise"),
    "month": ("January", "March", "June", "August", "September", "October"),
    "goods": (
        "the winter jackets",
        "our ceramic mugs",
        "the 250 g bags",
        "all gift boxes",
        "the spare parts",
        "the notebooks",
    ),
    "city": ("Gothenburg", "Lyon", "Osaka", "Porto", "Hamburg", "Toronto", "Lagos", "Auckland", "Seoul", "Graz"),
    "weekday": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday"),
    "ledger": ("DATEV", "Xero", "QuickBooks", "Exact Online", "Fortnox"),
    "colleague": ("my colleague", "our new bookkeeper", "the warehouse lead", "our shop manager", "one of our interns"),
}

STORIES: tuple[Story, ...] = (
    # --- Account & access
    Story(
        "Sign-in", "high", ("login",),
        ("Cannot sign in since this morning", "Locked out of my account", "Sign-in page says my account is locked"),
        "since this morning I cannot sign in any more. The page says my account is locked after too many attempts, but I only tried "
        "twice. I am using {browser}.\n\nWe have deliveries to book in, so please help quickly.",
        (
            ("note", "Axes log shows 11 failed attempts in two minutes from the same address: looks like a saved old password in a browser extension."),
            ("ask", "I have removed the lock, so you can try again now. We saw {n} failed attempts within two minutes, which is usually a password manager that keeps sending an old password.\n\nCould you sign in once by typing the password, and tell me whether it works?"),
            ("answer", "That was it! My password manager still had the password from before the reset. I am in again, thank you."),
            ("solve", "Great to hear. I'll mark this as resolved; if the lock comes back, just answer here."),
        ), 5,
    ),
    Story(
        "Sign-in", "medium", ("login", "password-reset"),
        ("Password reset e-mail never arrives", "No reset mail", "Reset link not received ({city} office)"),
        "I asked for a password reset three times and no e-mail arrives, not even in the spam folder. Other mails from you (invoices) do arrive.",
        (
            ("say", "sorry about that. I can see three reset mails that were accepted by your mail server, the last one a few minutes ago. Let me check with our mail team where they end up."),
            ("note", "Mail log: 250 accepted by their gateway, then quarantined as 'newsletter'. They need to allow no-reply@tidemark.example."),
            ("ask", "Your mail gateway accepts our reset mails and then puts them into a quarantine for newsletters. Could your administrator release them and allow the sender `no-reply@tidemark.example`? In the meantime I have sent you a link that is valid for one hour."),
            ("answer", "Our administrator found all of them in the quarantine. The sender is on the allow list now and the new link worked."),
            ("solve", "Perfect. Thanks to you and your administrator for checking so quickly."),
        ), 4,
    ),
    Story(
        "Sign-in", "medium", ("login", "2fa"),
        ("New phone: two-factor codes are gone", "Lost my authenticator, need access", "Two-factor code not accepted"),
        "I have a new phone ({phone}) and the authenticator app did not move my codes. I have no recovery codes either. How do I get into Tidemark again?",
        (
            ("ask", "no problem, we can reset two-factor sign-in for you. To be sure that it is really you, an owner of your workspace has to confirm the request: we have just sent them a mail with a button. Please ask them to press it."),
            ("answer", "Our owner has confirmed it just now."),
            ("solve", "Thank you. Two-factor sign-in is off for your account now; at your next sign-in you will be asked to set it up again. Please keep the ten recovery codes somewhere safe this time."),
        ),
    ),
    Story(
        "Single sign-on", "high", ("sso", "enterprise"),
        ("SSO with {idp} fails: invalid audience", "SAML sign-in broken after certificate change", "{idp} login loops back to the sign-in page"),
        "we changed the signing certificate in {idp} yesterday evening, and since then nobody can sign in through SSO. The error is:\n\n```\nSAML response rejected: signature does not match any known certificate\n```\n\nAbout {n} people are affected.",
        (
            ("raise", "urgent"),
            ("say", "I understand this stops everybody, so I am looking at it right now. Your owner can sign in with their password at the emergency address meanwhile (Settings → Security → Emergency access)."),
            ("note", "Metadata URL of the customer still serves the old certificate; the new one is only in the UI of their IdP. @Lena can you confirm that we cache for an hour?"),
            ("ask", "The metadata that {idp} publishes still contains the old certificate, that is why we reject the new signatures. Could you press “Publish” (or “Activate”) next to the new certificate? We read the metadata again every hour; I will trigger it by hand as soon as you tell me."),
            ("answer", "It was staged but not activated. It is active now, please read it again."),
            ("solve", "I have read the metadata again and see successful sign-ins from your colleagues. I'll write up the order of steps for a certificate change and put it into your workspace's notes."),
        ), 4,
    ),
    Story(
        "Single sign-on", "medium", ("sso",),
        ("How do we set up SSO with {idp}?", "SSO setup question", "Which claims does Tidemark need from {idp}?"),
        "we would like our team to sign in with {idp}. Which claims do you need, and do people get created on their first sign-in or do we have to invite them first?",
        (
            ("ask", "good questions. Tidemark needs `email`, `given_name` and `family_name`; with the optional claim `groups` you can map groups to roles. People are created on their first sign-in as *agent* unless you switch that off.\n\nDo you plan to use SAML or OpenID Connect? I'll send you the right guide."),
            ("answer", "OpenID Connect, please. And we would like to map two groups."),
            ("solve", "Here we go: the OpenID Connect guide is under Settings → Security → Single sign-on → Guide, and it has a section on groups. Test it with “Try as me” before you make it mandatory."),
        ),
    ),
    Story(
        "Users and roles", "low", ("roles",),
        ("Give {colleague} read-only access", "Role for external accountant", "Which role can only read?"),
        "we would like to give {colleague} access, but only to look at orders and reports, not to change anything. Which role is right?",
        (
            ("solve", "the role *Viewer* is what you are looking for: it sees orders, stock and reports and cannot change anything. You find it under Settings → Members → Invite. Viewers do not count as a paid seat."),
        ), 4,
    ),
    Story(
        "Users and roles", "medium", ("roles", "offboarding"),
        ("Remove a former employee", "Please deactivate a user who left", "Colleague left, what happens to their orders?"),
        "{colleague} left the company last {weekday}. How do we remove the account without losing the orders that are assigned to it?",
        (
            ("ask", "when you deactivate a member, their open orders go back to “unassigned” and the finished ones keep the name, so nothing is lost. You can do it under Settings → Members. Shall I do it for you? Then I need the e-mail address of the account, from an owner."),
            ("answer", "No need, I have done it myself just now. All the orders are there."),
            ("solve", "Wonderful. I'll close the case then."),
        ),
    ),
    # --- Billing
    Story(
        "Invoices", "medium", ("invoice",),
        ("Invoice {invoice} shows the wrong address", "Wrong company address on invoice", "Please correct invoice {invoice}"),
        "our invoice {invoice} over {amount} still shows our old address. Our accounting department cannot book it like this. Could you send a corrected one? The new address is in the account settings already.",
        (
            ("note", "Address was changed two days after the invoice was issued. Finance can issue a cancellation and a new invoice."),
            ("say", "thank you for telling us. The address was changed two days after {invoice} was issued, which is why the old one is on it. I have asked our finance team for a cancellation and a new invoice; it usually takes one working day."),
            ("solve", "The corrected invoice is in your account under Billing → Invoices, together with the cancellation of {invoice}. The amount has not changed."),
        ), 5,
    ),
    Story(
        "Invoices", "low", ("invoice", "vat"),
        ("VAT number missing on our invoices", "Invoice without our VAT ID", "Reverse charge on invoice {invoice}?"),
        "our VAT number does not appear on invoice {invoice}, so we were charged tax although reverse charge should apply. We added the number in {month}.",
        (
            ("ask", "I can see the VAT number in your account, but the check with the tax authority failed because the registered name is spelled differently. Could you send us the name exactly as it stands in the register?"),
            ("answer", "You are right, the register has our legal name with the ending. I have corrected it in the settings."),
            ("solve", "Now the number is confirmed. We have credited the tax of {invoice} and issued a new one with reverse charge."),
        ),
    ),
    Story(
        "Invoices", "medium", ("invoice", "accounting"),
        ("Invoices do not arrive in {ledger}", "{ledger} export of invoices stopped", "Missing invoices in {ledger} for {month}"),
        "the transfer of our invoices to {ledger} stopped. The last one that arrived is {invoice}. There is no error message in Tidemark.",
        (
            ("say", "I see the connection to {ledger} was refused since last {weekday}, because the permission that you gave us has run out. Sorry that we did not show this more clearly."),
            ("ask", "Could you open Settings → Accounting and press “Connect again”? The missing invoices are sent by themselves within ten minutes."),
            ("answer", "Connected again, and they are dribbling in now. It would help to get a mail when this happens."),
            ("note", "Feature wish: mail to the owner when an accounting connection loses its permission. Added to the list."),
            ("solve", "Glad it works again. Your wish for a mail is with our product team; I added your voice to it."),
        ),
    ),
    Story(
        "Payments", "high", ("payment",),
        ("Payment failed although the card is valid", "Card declined for our subscription", "Payment of {amount} was declined"),
        "I got a mail that the payment of {amount} for our subscription failed. The card is valid until next year and the bank says there was no attempt. Will our account be suspended?",
        (
            ("say", "don't worry, nothing is suspended: there are 14 days for a payment to go through. I am checking what our payment provider says."),
            ("note", "Provider: 3-D Secure was asked for and not answered; the customer's bank never showed the prompt. A second try with a fresh mandate normally works."),
            ("ask", "Your bank asked for a confirmation (3-D Secure) that nobody answered in time. Could you open Billing → Payment method and press “Pay now”? Then the prompt appears in your banking app."),
            ("answer", "The prompt came up and I confirmed it. Billing says paid."),
            ("solve", "Confirmed: {amount} has arrived. Thank you for the quick help!"),
        ), 4,
    ),
    Story(
        "Payments", "high", ("payment", "refund"),
        ("Charged twice for {month}", "Double payment: please refund", "We were billed two times"),
        "our bank statement shows two payments of {amount} to you on the same day. We have only one subscription. Please refund one of them.",
        (
            ("team", "Billing"),
            ("say", "I am sorry about this. I can see both payments; the second one was made when the page was submitted twice. I have asked finance to refund it."),
            ("note", "Refund of {amount} approved by finance. It shows up at the customer's bank in 3–5 days."),
            ("solve", "The refund of {amount} is on its way to the same card; banks take three to five working days to show it. Please answer here if it has not arrived by then."),
        ), 4,
    ),
    Story(
        "Plans and upgrades", "low", ("plan",),
        ("Upgrade to {plan}: what happens to our data?", "Question about changing plans", "Can we change plans in the middle of the month?"),
        "we think about moving to the {plan} plan. What happens to our data and how is the rest of the month charged?",
        (
            ("ask", "your data stays exactly as it is, only the limits change. The rest of the month is charged by the day, so you never pay twice. Shall I prepare the change for you, or would you like to do it under Billing → Plan?"),
            ("answer", "Thanks, that is clear. I will do it myself next week."),
            ("solve", "Sounds good. You know where to find us!"),
        ),
    ),
    Story(
        "Plans and upgrades", "medium", ("plan", "cancellation"),
        ("Please cancel our subscription", "Cancel at the end of the period", "How do we cancel?"),
        "we close our shop in {city} and no longer need Tidemark. Please cancel our subscription at the end of the paid period and tell us how to take our data with us.",
        (
            ("say", "I am sorry to hear that you close the shop. I have noted the cancellation for the end of the paid period; you keep full access until then."),
            ("note", "Customer closes the shop, no saving attempt please. Exports explained."),
            ("solve", "You can take everything with you: Data → Exports → “Everything” makes one archive with CSV files and all documents. We delete your data 60 days after the end of the subscription. All the best for what comes next!"),
        ),
    ),
    # --- Integrations
    Story(
        "API", "high", ("api", "bug"),
        ("API answers 500 on {endpoint}", "GET {endpoint} fails with a server error", "Server errors from the API since {weekday}"),
        "since {weekday} about one in {n} calls of `GET {endpoint}` answers with status 500. Example:\n\n```\nGET {endpoint}?page=3&limit=100\nHTTP/1.1 500\nx-request-id: {request}\n```\n\nRepeating the call after a few seconds works.",
        (
            ("note", "Request {request}: timeout in the stock join when a product has more than 2,000 movements. Handed to development."),
            ("say", "thank you for the request id, that helped a lot. One of our servers runs into a timeout for products with a very long history. Development works on it; until then `limit=50` avoids the error."),
            ("answer", "With 50 it is stable. When can we expect the fix? Our nightly job takes twice as long now."),
            ("say", "The fix is being tested now and is planned for {weekday}'s release. I'll write again as soon as it is out."),
            ("solve", "The fix is live since this morning. I ran your example with `limit=100` two hundred times without a single error. Please tell us if you see anything else."),
        ), 5,
    ),
    Story(
        "API", "medium", ("api", "rate-limit"),
        ("429 Too Many Requests during our nightly sync", "Rate limit too low for our catalogue", "API rate limit"),
        "our nightly sync reads {n}00 products one by one and now gets status 429. Can you raise our limit?",
        (
            ("ask", "we could, but there is a better way: `GET /v2/products?updated_since=…` gives only what changed since the last run, 200 at a time. For most customers that turns thousands of calls into a handful. Would that fit your sync?"),
            ("answer", "I did not know that parameter. We have changed the job: it makes 12 calls now and is finished in seconds."),
            ("solve", "That is exactly what it is for. Have fun with the time you won."),
        ), 4,
    ),
    Story(
        "API", "low", ("api", "question"),
        ("How do I create an order with two shipping addresses?", "API question: partial shipments", "Documentation for {endpoint} unclear"),
        "I am reading the documentation of `{endpoint}` and do not understand how to tell the API that one part of an order goes to another address. Is there an example?",
        (
            ("solve", "there is, though it is well hidden: an order can have several `shipments`, each with its own `address` and `lines`. The address of the order itself is only the default.\n\n```json\n{{\"shipments\": [{{\"address_id\": \"a1\", \"lines\": [1, 2]}}, {{\"address_id\": \"a2\", \"lines\": [3]}}]}}\n```\n\nI have asked our writers to put this example at the top of the page."),
        ),
    ),
    Story(
        "Webhooks", "medium", ("webhooks",),
        ("Webhook deliveries stopped", "No webhooks since {weekday}", "Our endpoint was disabled"),
        "we do not get webhooks any more since {weekday}. Nothing has changed on our side as far as I know. The endpoint is reachable from outside.",
        (
            ("say", "I looked at the delivery log: your server answered with status 301 for five days, and we do not follow redirects for webhooks. After five days without a success the endpoint was disabled and the owner got a mail."),
            ("ask", "Most likely a redirect from http to https was added. If you change the address to https and press “Enable”, we send everything from the last three days again. Could you try?"),
            ("answer", "Indeed, our hoster forced https last week. Changed, enabled, and the events are coming in."),
            ("solve", "All deliveries of the last hours are green here as well. Enjoy!"),
        ), 4,
    ),
    Story(
        "Webhooks", "medium", ("webhooks", "security"),
        ("How do I verify the webhook signature?", "Signature check fails in our code", "HMAC of webhook does not match"),
        "our signature check always fails. We compute HMAC-SHA256 over the JSON that we parsed and serialised again. Is the secret used as it is shown?",
        (
            ("solve", "two things to look at. First, the signature covers the bytes as they were sent: `id.timestamp.body`. Parsing and serialising again changes spaces and the order of keys, so please use the raw body. Second, the part of the secret after `whsec_` is base64 and has to be decoded before use.\n\nWith both in place the check passes; if not, send me a message id and I will compute it here."),
        ),
    ),
    Story(
        "Shop connectors", "high", ("connector", "orders"),
        ("Orders from {shop} arrive twice", "Duplicate orders from {shop}", "{shop} connector creates every order two times"),
        "since the update of the {shop} plugin every order arrives twice in Tidemark. Yesterday we nearly sent {n} parcels a second time. Please help, this is costing us money.",
        (
            ("raise", "urgent"),
            ("say", "that must not happen, I am sorry. As a first aid I have switched on “Hold new orders” for your connector, so nothing can be packed twice. We are looking for the cause."),
            ("note", "Plugin 3.2.0 registers its webhook again on every update: two registrations for the same topic. Deleting the older one fixes it. Release 3.2.1 will clean up."),
            ("say", "Found it: the new plugin version registered a second webhook in {shop} and left the first one in place. I have removed the old one and marked {n} duplicates in your list with the tag `duplicate`, so that you can cancel them together."),
            ("answer", "Orders arrive once again. We cancelled the duplicates. Will this happen with the next update, too?"),
            ("solve", "No: version 3.2.1 removes old registrations before it makes a new one. It comes out this week. I have lifted the hold."),
        ), 4,
    ),
    Story(
        "Shop connectors", "medium", ("connector", "stock"),
        ("Stock in {shop} is not updated", "{shop} shows sold-out products as available", "Connector to {shop} is behind by hours"),
        "our {shop} shop shows stock that is hours old. Customers order {goods} although there are none left.",
        (
            ("ask", "thanks for reporting. The connector's queue is full of updates of product pictures, and stock updates wait behind them. Did somebody import a lot of pictures recently?"),
            ("answer", "Yes, our agency uploaded about {n}000 pictures on {weekday}."),
            ("note", "Same as last month at another customer: stock must overtake pictures. Linked to the development task."),
            ("solve", "That explains it. I have moved the pictures to the end of the queue, and stock is up to date again. Development will give stock its own lane, so that it always overtakes."),
        ),
    ),
    # --- Mobile app
    Story(
        "Mobile app", "high", ("mobile", "crash"),
        ("App crashes when opening an order", "Mobile app {app} closes by itself", "Crash on {phone} after the update"),
        "after the update to {app} the app closes as soon as I open an order with more than a few lines. {phone}, {os}. I have installed it again, no change.",
        (
            ("ask", "sorry for the trouble. Could you open Settings → Help → “Send report” in the app right after a crash? It tells us the exact place."),
            ("answer", "Sent just now, three times."),
            ("note", "Crash in the picture cache for WebP files with transparency. Fixed in the next build, which is in review at the stores."),
            ("say", "Your reports were very helpful: the app stumbles over certain product pictures. The fix is made and waits for the app store's review, normally two days. Until then, Settings → “Load pictures” off avoids it."),
            ("solve", "The new version is in the store now. Please update and switch the pictures on again."),
        ), 4,
    ),
    Story(
        "Barcode scanning", "medium", ("mobile", "scanner"),
        ("Scanner does not recognise our barcodes", "Barcode scanning very slow on {phone}", "GS1 codes are read wrongly"),
        "the scanner reads the codes on {goods} only at the third or fourth try, on a {phone} with {os}. With another app it works at once.",
        (
            ("ask", "could you send us a photo of one of the labels, and tell us whether “Read all code types” is switched on in the scanner's settings?"),
            ("answer", "Yes, it is on. The codes are GS1-128 with a best-before date."),
            ("solve", "That is the reason: with all types switched on, the scanner tries 14 kinds of code per picture. Please choose only “GS1-128” and “EAN-13”; reading should take a blink then. The date is taken over into the batch by itself."),
        ),
    ),
    Story(
        "Sync", "medium", ("mobile", "offline"),
        ("Counts made offline are missing", "Inventory not synchronised from the app", "Stocktake in {city}: half of the counts are gone"),
        "we counted {goods} in our {city} warehouse where there is no reception. After we came back only half of the counts are in Tidemark. The app shows no error.",
        (
            ("say", "first of all: counts are kept on the phone until they arrive, so please do not remove the app. I am looking at what the server received."),
            ("note", "Server got 212 of 431 counts, then the token expired. App retries only after it is opened in the foreground."),
            ("ask", "The transfer stopped half-way because the sign-in had expired. If you open the app, sign in and stay on the screen “Stocktake” for a minute, the rest follows. Could you check the total afterwards?"),
            ("answer", "All 431 counts are there now. You saved us a weekend of counting!"),
            ("solve", "What a relief. From the next version on, the app asks for the sign-in before it gives up."),
        ),
    ),
    # --- Orders & shipping
    Story(
        "Shipping labels", "high", ("shipping", "labels"),
        ("{carrier} labels cannot be printed", "Label printing fails for {carrier}", "No shipping labels since this morning"),
        "since this morning we cannot print labels for {carrier}: “Service not available for this account”. {n} parcels are waiting and the driver comes at four.",
        (
            ("raise", "urgent"),
            ("say", "we are on it. {carrier} changed its product codes last night and our mapping is still the old one. A corrected mapping is being rolled out now."),
            ("note", "Affects every customer with this carrier. Status page updated. Rollout at about 30 %."),
            ("say", "The corrected mapping is active for your account. Could you print one label as a test?"),
            ("answer", "Works! All parcels went out with the driver."),
            ("solve", "Great teamwork. We now watch the carrier's list of changes, so that the next one does not surprise us."),
        ), 5,
    ),
    Story(
        "Shipping labels", "low", ("shipping", "printer"),
        ("Labels come out rotated", "Label is printed too small", "Wrong paper size for {carrier} labels"),
        "the labels for {carrier} are printed rotated by 90 degrees and only a quarter of the page is used. Our printer is a 100 × 150 mm label printer.",
        (
            ("ask", "this looks like the A4 format being sent to a label printer. Could you check Settings → Printing → “Label format” and choose “100 × 150 mm, ZPL”?"),
            ("answer", "It was set to PDF A4. Perfect labels now, thanks!"),
            ("solve", "Happy printing!"),
        ),
    ),
    Story(
        "Shipping labels", "medium", ("shipping", "customs"),
        ("Customs form is missing for shipments to Switzerland", "CN23 not created", "Customs data for parcels outside the EU"),
        "for orders to Switzerland and Norway no customs form is printed, so {carrier} sends the parcels back. Order {order} is one of them.",
        (
            ("say", "the form is only made when every line has a customs code and a weight. In order {order} two products have no code."),
            ("ask", "You can see all products without a code under Products → Filter → “Customs code missing”, and fill them in there or by import. Is the list manageable, or would you like help with an import file?"),
            ("answer", "About {n} products. An import file would be great."),
            ("solve", "I have sent the file to you with a suggestion for each product, based on its category. Please have somebody check the codes before you import them. After that the forms are printed by themselves."),
        ),
    ),
    Story(
        "Returns", "medium", ("returns",),
        ("Customer return shows as still open", "Return of order {order} cannot be booked", "Returned goods do not go back into stock"),
        "the goods of order {order} came back a week ago and I booked the return, but the stock has not changed and the refund is not released.",
        (
            ("ask", "the return is waiting for an inspection, because your rules ask for one above {amount}. Somebody with the role *Warehouse lead* has to press “Inspected”. Could you check whether that is wanted?"),
            ("answer", "I did not know about the rule. Our lead has done it and the stock is right now."),
            ("solve", "Great. If the limit is too low, you can change it under Settings → Returns."),
        ), 4,
    ),
    Story(
        "Stock levels", "medium", ("stock",),
        ("Negative stock after stocktake", "Stock of {goods} is wrong", "Stock levels do not match the shelf"),
        "after the stocktake {goods} have a negative stock of -{n}. On the shelf there are plenty. What did we do wrong?",
        (
            ("note", "Stocktake was closed while two orders were half picked. The picks were booked a second time."),
            ("say", "you did nothing wrong as such: the stocktake was closed while two orders were being picked, and the picked pieces were counted as missing and then taken off again."),
            ("ask", "I have prepared a correction that puts the pieces back. You find it under Stock → Corrections as a draft. Please compare it with the shelf before you book it."),
            ("answer", "Compared and booked. Everything is right again."),
            ("solve", "Thank you for checking. The next version warns when a stocktake is closed during picking."),
        ), 4,
    ),
    Story(
        "Stock levels", "low", ("stock", "question"),
        ("Reorder point per warehouse?", "Different minimum stock in {city}", "Can we set the minimum stock for each location?"),
        "we have two warehouses, and the minimum stock of {goods} should be different in {city}. Is that possible?",
        (
            ("solve", "it is. Open the product, choose the tab “Stock” and press “Per warehouse” next to the minimum. For many products at once use the column `min_stock:<warehouse>` in an import."),
        ),
    ),
    # --- Data
    Story(
        "Exports", "medium", ("export",),
        ("Export of orders stops at 10,000 rows", "CSV export incomplete", "Order export for {month} is cut off"),
        "the CSV export of our orders for {month} has exactly 10,000 rows, but we had more. Is there a limit?",
        (
            ("say", "the export in the list view stops at 10,000 rows, and it should say so on the page. For more there is Data → Exports, which runs in the background and has no limit."),
            ("answer", "Found it, the big export worked. A hint on the list page would have saved me an hour."),
            ("note", "Asked design for a hint at the button when the list has more than 10,000 rows."),
            ("solve", "You are right, and the hint is coming. Sorry for the hour."),
        ), 4,
    ),
    Story(
        "Exports", "low", ("export", "excel"),
        ("Umlauts are broken in the exported file", "CSV opens with strange characters in Excel", "Accents wrong in export"),
        "when I open the exported CSV in Excel, names with accents look like `BergstrÃ¶m`. What can I do?",
        (
            ("solve", "the file is in UTF-8, and Excel guesses wrongly when it is opened by a double click. Either choose “Excel (xlsx)” as the format of the export, or use Data → From Text/CSV in Excel and choose UTF-8 there."),
        ),
    ),
    Story(
        "Imports", "medium", ("import",),
        ("Product import fails at line {n}", "Import says: price is not a number", "Cannot import our price list"),
        "our price list cannot be imported: “line {n}: price is not a number”. The price there is 12,50 and looks fine to me.",
        (
            ("solve", "the comma is the reason: the import expects a point as the decimal sign unless the file's language is set. In the second step of the import, choose your language under “Numbers and dates”, and 12,50 is understood."),
            ("answer", "Now line {n} works, but the dates in column F are refused with the same setting."),
            ("solve", "Column F mixes two ways of writing dates (31.12. and 12/31). I have sent you the list of the affected lines. Once they are the same, the import goes through; I tried it with a copy."),
        ), 4,
    ),
    Story(
        "Reports", "medium", ("reports",),
        ("Revenue report differs from {ledger}", "Report for {month} does not add up", "Totals differ between report and invoices"),
        "the revenue report for {month} is {amount} lower than what {ledger} shows. We checked twice. Where does the difference come from?",
        (
            ("ask", "I would like to understand which orders make the difference. Is {ledger} counting by the date of the invoice? Our report counts by the date of the order unless you change it at the top."),
            ("answer", "{ledger} uses the invoice date, yes. Where exactly can I change that?"),
            ("say", "Top right of the report, “Count by”: choose “Invoice date”. For {month} that moves the orders of the last days of the month before into the picture."),
            ("answer", "Now the totals are equal to the cent. Thank you!"),
            ("solve", "To the cent is what we like to hear."),
        ),
    ),
    Story(
        "Reports", "low", ("reports", "performance"),
        ("Dashboard is slow", "Reports take minutes to load", "Very slow since {weekday}"),
        "our dashboard needs more than a minute to load since {weekday}. The rest of Tidemark is fast. {browser}, on two different computers.",
        (
            ("say", "I can see slow loads for your workspace, thank you. The dashboard has a chart over all years with daily steps, which was added last week. I am asking development what can be done."),
            ("note", "Chart over 6 years by day = 2,190 points × 14 series. Should be by month. Development caches it from the next release on."),
            ("ask", "As a quick help: in the chart “Orders by day”, choose “last 12 months” or steps of a month. Does the dashboard open quickly then?"),
            ("answer", "Two seconds. Good enough for us."),
            ("solve", "Lovely. From the next release on the long version will be fast, too."),
        ),
    ),
    # --- Ideas
    Story(
        "Ideas", "low", ("feature-request",),
        ("Idea: dark mode for the warehouse screens", "Dark mode, please", "Feature wish: dark theme"),
        "our warehouse is dimly lit and the white screens are blinding. A dark mode would be wonderful. Is it planned?",
        (
            ("solve", "it is! Dark mode is being tested by a few customers right now. Would you like to join? I have put you on the list; you will get a mail with a switch under Settings → Display."),
        ),
    ),
    Story(
        "Ideas", "low", ("feature-request", "orders"),
        ("Idea: split orders by warehouse automatically", "Wish: rules for splitting orders", "Automatic order splitting"),
        "when an order has goods from two warehouses, we split it by hand. It would save us about an hour a day if Tidemark did that by a rule.",
        (
            ("say", "thank you, that is a good idea and you are not alone with it. I have added your workspace to the request, with the hour a day as the reason."),
            ("ask", "Our product manager would like to know: should each part have its own delivery note, or one for the whole order?"),
            ("answer", "Each part its own note, please, with “1 of 2” on it."),
            ("solve", "Perfect, I passed that on. I am closing this ticket, but you are linked to the request and will hear from us when it moves."),
        ),
    ),
    Story(
        "Ideas", "low", ("feature-request", "api"),
        ("Please add a bulk endpoint to the API", "Wish: update many products in one call", "Idea: GraphQL"),
        "an endpoint for updating many products in one call would help us a lot. Today our price change takes {n}00 calls.",
        (
            ("note", "Fourth request for bulk updates this quarter. Linked."),
            ("solve", "we hear this often, and a bulk endpoint for prices and stock is on the list for this half-year. I have linked you to it. Until then the CSV import can be called by the API as well (`POST /v2/imports`), which is a single call for the whole price list."),
        ),
    ),
    # --- No category: what comes in at the door
    Story(
        "", "medium", (),
        ("Question", "Need help", "Call me back please"),
        "could somebody call me back, please? It is about our account and easier to explain on the phone. I am in the {city} office until five.",
        (
            ("ask", "I am happy to call. Which number can I reach you at, and can you tell me in one sentence what it is about, so that I can have the right colleague next to me?"),
            ("answer", "It is about moving two shops into one account. You can reach me under the number in my profile."),
            ("note", "Called. Wants to merge two workspaces; explained that we can move products and contacts, not invoices. Offer sent by mail."),
            ("solve", "Thank you for the pleasant call. As discussed, you have our offer for moving the second shop in your inbox."),
        ), 2,
    ),
    Story(
        "", "low", ("praise",),
        ("Thank you!", "Just wanted to say thanks", "Great support"),
        "no problem this time. I only wanted to say that the help we got last week was excellent. We finished our stocktake a day early.",
        (("solve", "what a nice mail to start the day with. I have read it out to the whole team. Thank you!"),), 2,
    ),
)  # fmt: skip

REOPENINGS: tuple[tuple[str, str], ...] = (
    (
        "I am afraid it happened again today, exactly as before. Could you have another look?",
        "I looked again and found a second cause that hid behind the first: an old setting was kept in a cache. It is cleared now, and I have watched it for an hour without a problem.",
    ),
    (
        "Sorry to open this again: it works for me now, but not for {colleague}.",
        "Good that you tell us. The change had been made for your account only; it now applies to the whole workspace, including {colleague}.",
    ),
    (
        "One more question about this: does the same apply to our second warehouse?",
        "Yes, the same applies there, and nothing needs to be changed for it.",
    ),
)

DUPLICATES = (
    "I wrote to you before but I am not sure that my message arrived. {description}",
    "Second try, as I have not heard back yet. {description}",
)

# Custom fields: key, label, kind, options.
FIELDS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("shop_system", "Shop system", "choice", ("Shopify", "WooCommerce", "Shopware", "Magento", "None")),
    ("order_number", "Order number", "text", ()),
    ("needed_by", "Needed by", "date", ()),
)

# Title, shortcut, category, content, uses.
CANNED: tuple[tuple[str, str, str, str, int], ...] = (
    ("Thank you for contacting us", "thanks", "", "Hi {{customer_name}},\n\nThank you for contacting us. We have your request {{ticket_number}} and I am looking into it now.\n\nBest regards,\n{{agent_name}}", 214),
    ("Closing the ticket", "closing", "", "Hi {{customer_name}},\n\nI'm closing this ticket. Please reopen it by answering if anything is left.\n\nBest regards,\n{{agent_name}}", 167),
    ("Ask for a screenshot", "screenshot", "", "Hi {{customer_name}},\n\nCould you send us a screenshot of the whole window, with the address bar? It helps us to see what you see.\n\n{{agent_name}}", 96),
    ("Ask for browser and version", "browser", "", "Hi {{customer_name}},\n\nWhich browser do you use, and in which version? Does the same happen in a private window?\n\n{{agent_name}}", 58),
    ("Unlock the account", "unlock", "Sign-in", "Hi {{customer_name}},\n\nYour account is unlocked. Please sign in by typing your password once, and update it in your password manager.\n\n{{agent_name}}", 83),
    ("Reset two-factor sign-in", "2fa", "Sign-in", "Hi {{customer_name}},\n\nWe can reset two-factor sign-in as soon as an owner of your workspace confirms it. They have just got a mail with a button.\n\n{{agent_name}}", 41),
    ("Corrected invoice", "invoice", "Invoices", "Hi {{customer_name}},\n\nThe corrected invoice is in your account under Billing → Invoices.\n\nKind regards,\n{{agent_name}}", 72),
    ("Refund on its way", "refund", "Payments", "Hi {{customer_name}},\n\nThe refund is on its way to the same card. Banks take three to five working days to show it.\n\n{{agent_name}}", 37),
    ("Known outage", "outage", "", "Hi {{customer_name}},\n\nThis is part of an outage we are working on; the status page has the latest. I will write to you in {{ticket_number}} as soon as it is over.\n\n{{agent_name}}", 29),
    ("Feature request noted", "idea", "Ideas", "Hi {{customer_name}},\n\nThank you for the idea. I have linked {{ticket_number}} to the request in our product list, and you will hear from us when it moves.\n\n{{agent_name}}", 64),
    ("Handed to development", "dev", "", "Hi {{customer_name}},\n\nI could reproduce this and have handed it to our developers. I will keep you posted here in {{ticket_number}}.\n\n{{agent_name}}", 48),
    ("Reminder to the customer", "reminder", "", "Hi {{customer_name}},\n\nWe are still waiting for your answer in {{ticket_number}}. Is the problem still there?\n\n{{agent_name}}", 55),
    ("API: use updated_since", "delta", "API", "Hi {{customer_name}},\n\nWith `updated_since` the API gives only what changed since your last call. Most syncs need a handful of calls then.\n\n{{agent_name}}", 22),
    ("Webhooks: raw body", "signature", "Webhooks", "Hi {{customer_name}},\n\nThe signature covers the raw bytes: `id.timestamp.body`. Please check it before parsing the JSON.\n\n{{agent_name}}", 14),
)  # fmt: skip
