#!/bin/sh
# Rows for a shop's assistant, as chats: orders that become one line of JSON, and questions answered in the shop's tone.
#
#     sh data/shop.sh OUT [TRAIN [TEST]]        OUT/train.jsonl (400 rows, both kinds), valid.jsonl (60), test-orders.jsonl, test-tone.jsonl (100 each)
#
# Names, towns, things and wordings of the valid and test rows stand in no training row, and the test's wordings not in valid's: what is right
# there was learned as a form and not by heart. The same bytes with every awk: random numbers are Lehmer's, exact in doubles.
set -eu
out=${1:?sh data/shop.sh OUT [TRAIN [TEST]]}
mkdir "$out"
LC_ALL=C awk -v out="$out" -v train="${2:-400}" -v test="${3:-100}" '
function below(n) { state = state * 48271 % 2147483647; return int(state / 2147483647 * n) }
function list(name, part, text,    i, n, a) { n = split(text, a, "|" \
        ""); size[name, part] = n; for (i = 1; i <= n; i++) word[name, part, i - 1] = a[i] }
function draw(name, part) { return word[name, part, below(size[name, part])] }
function put(key, value) { gsub("<" key ">", value, question); gsub("<" key ">", value, answer) }
function quoted(s) { gsub(/"/, "\\\"", s); return "\"" s "\"" }

# One row: part is train, valid or test; names, towns and things of valid are those of test.
function row(file, kind, part,    words, rules, topic, thing, number, name, town) {
    words = part == "train" ? "train" : "test"
    do {
        name = draw("name", words); town = draw("town", words); thing = draw("colour", "all") " " draw("thing", words); number = below(size["number", "all"])
        if (kind == "order") {
            rules = "You take orders for a shop. Answer with one line of JSON with the keys name, item, quantity and city."
            question = draw("order", part)
            answer = "{\"name\": \"<name>\", \"item\": \"<thing>\", \"quantity\": " number + 2 ", \"city\": \"<town>\"}"
        } else {
            rules = "You answer customers of Birch & Co. Greet them by name, answer in one sentence, and end with: Warmly, your Birch & Co team"
            topic = below(size["answer", "all"])
            question = draw("hello", part) " " draw("ask" topic, part)
            answer = "Hello <name>! " word["answer", "all", topic] " Warmly, your Birch & Co team"
        }
        put("name", name); put("town", town); put("thing", thing); put("number", word["number", "all", number])
    } while (question in seen)
    seen[question] = 1
    printf "{\"messages\": [{\"role\": \"system\", \"content\": %s}, {\"role\": \"user\", \"content\": %s}, {\"role\": \"assistant\", \"content\": %s}]}\n", \
        quoted(rules), quoted(question), quoted(answer) > (out "/" file)
}

BEGIN {
    state = 20240229
    list("name", "train", "Maria|James|Priya|Tom|Elena|Ahmed|Julia|Peter|Sofia|David|Laura|Marco|Nina|Paul|Emma|Oscar|Clara|Victor|" \
        "Ruth|Samuel|Helen|Felix|Diana|Robert|Alice|Simon|Karen|Martin|Teresa|Frank")
    list("name", "test", "Hannah|George|Leila|Bruno|Martha|Kevin|Rosa|Daniel|Ingrid|Arthur|Monica|Walter")
    list("town", "train", "Lisbon|Boston|Dublin|Madrid|Toronto|Vienna|Leeds|Chicago|Oslo|Denver|Milan|Geneva|Austin|Prague|Glasgow|" \
        "Seattle|Athens|Munich|Bristol|Ottawa")
    list("town", "test", "Paris|London|Berlin|Rome|Dallas|Sydney|Warsaw|Phoenix|Oxford|Portland")
    list("colour", "all", "red|blue|green|white|black|yellow|small|large|grey|wooden")
    list("thing", "train", "kettle|lamp|chair|blanket|basket|clock|mirror|teapot|pillow|candle|tray|bottle|jacket|mug|stool|carpet|" \
        "vase|ladder|bucket|notebook|umbrella|radio|pan|broom")
    list("thing", "test", "table|bowl|curtain|rug|backpack|plate|shelf board|towel|suitcase|doormat")
    list("number", "all", "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve")

    list("order", "train", "Hello, this is <name> from <town>. I would like to order <number> <thing>s, please.|" \
        "Please send <number> <thing>s to <town>. My name is <name>.|" \
        "<name> here. Could you ship <number> <thing>s to my flat in <town>?|" \
        "Hi! We need <number> <thing>s for our office in <town>. Thanks, <name>|" \
        "Good morning, I am <name>. I will take <number> of your <thing>s; deliver them to <town>.|" \
        "I saw your <thing>s online and want <number> of them sent to <town>. Best wishes, <name>|" \
        "Could <number> <thing>s be delivered to <town> before Friday? The parcel is for <name>.|" \
        "It rains in <town> again! Anyway: <number> <thing>s, please, and write <name> on the box.")
    list("order", "valid", "Is it possible to get <number> <thing>s by Monday? I live in <town>. Regards, <name>|" \
        "To <name>, <town>: <number> <thing>s. Thank you very much!")
    list("order", "test", "Do you still have <thing>s? If so, <number> of them to <town>, for <name>.|" \
        "This is <name>. My order: <number> <thing>s. Deliver to: <town>.|" \
        "Dear shop, kindly put <number> <thing>s in a box and mail it to <name> in <town>.|" \
        "Hey, <name> speaking, I live in <town> and I want to buy <number> <thing>s today.")

    list("hello", "train", "Hi, I am <name>.|<name> here.|Good evening, my name is <name>.|Hello, this is <name>.|" \
        "<name> is my name.|It is me, <name>.")
    list("hello", "valid", "Dear team, it is <name>.|Greetings from <name>!")
    list("hello", "test", "Hey, <name> speaking.|Good day! You can call me <name>.")
    list("answer", "all", "You can send the <thing> back within 30 days, and we pay the postage.|" \
        "The <thing> leaves our house today and reaches you in three days.|" \
        "We repair the <thing> free of charge for two years.|The <thing> can be wrapped as a gift for two euros.|" \
        "You can pay for the <thing> by card or by invoice.|You can collect the <thing> from our shop until six in the evening.")
    list("ask0", "train", "Can I return the <thing> that I bought last week?|The <thing> does not fit my room. May I send it back?|" \
        "I changed my mind about the <thing>. Do you take it back?|" \
        "Please tell me how I can return the <thing>.|I ordered the wrong <thing>. Can I give it back to you?|" \
        "The <thing> is too big for us. Will you take it back?")
    list("ask0", "valid", "Is there a way to give the <thing> back?|I have no use for the <thing>. What about a return?")
    list("ask0", "test", "I do not like the <thing> after all; can it go back to you?|Would you accept a return of my <thing>?")
    list("ask1", "train", "When will the <thing> that I ordered arrive?|How long does delivery of the <thing> take?|" \
        "I am waiting for my <thing>. How many days will it need?|" \
        "Where is my <thing>? I ordered it today.|By when will the <thing> be here?|I need the <thing> soon. When do I get it?")
    list("ask1", "valid", "On which day can I expect the <thing>?|Will the <thing> be delivered this week?")
    list("ask1", "test", "How soon will my <thing> get here?|Has my <thing> been shipped, and when does it arrive?")
    list("ask2", "train", "My <thing> broke yesterday. What can you do?|The <thing> has a crack. Can you repair it?|" \
        "Is there a warranty on the <thing>?|" \
        "The <thing> stopped working after a month. Who repairs it?|A part of the <thing> came off. Can you fix that?|" \
        "For how long do you repair the <thing>?")
    list("ask2", "valid", "The <thing> fell apart. Will you fix it?|Can my <thing> be mended?")
    list("ask2", "test", "My <thing> is damaged; do you repair such things?|What happens if the <thing> breaks next year?")
    list("ask3", "train", "The <thing> is a present. Can you wrap it?|Do you offer gift wrapping for the <thing>?|" \
        "Could the <thing> come in nice paper with a ribbon?|" \
        "My friend has a birthday. Could you wrap the <thing>?|What do you charge to wrap the <thing> as a gift?|" \
        "I am giving the <thing> to my brother for Christmas. Is wrapping possible?")
    list("ask3", "valid", "Can you pack the <thing> as a present?|Is there gift paper for the <thing>?")
    list("ask3", "test", "I want to give the <thing> to my mother as a gift; do you wrap it?|" \
        "How much is wrapping the <thing> as a birthday present?")
    list("ask4", "train", "How can I pay for the <thing>?|Do you take credit cards for the <thing>?|" \
        "Can I get an invoice for the <thing>?|" \
        "Do I have to pay for the <thing> in advance, or can I use a card?|May my company pay for the <thing> by invoice?|" \
        "Which payment do you accept for the <thing>?")
    list("ask4", "valid", "Which ways of payment are there for the <thing>?|Shall I pay for the <thing> with my card?")
    list("ask4", "test", "Is it possible to pay for the <thing> with a card?|What are my options to pay for the <thing>?")
    list("ask5", "train", "Can I pick up the <thing> myself?|Where and until when can I collect the <thing>?|" \
        "May I come by your shop to fetch the <thing>?|" \
        "Can I get the <thing> at the shop instead of having it sent?|" \
        "My husband would like to pick up the <thing>. Is that all right?|How late can I come to collect the <thing>?")
    list("ask5", "valid", "Could my son pick the <thing> up at your place?|" \
        "We could fetch the <thing> ourselves. Until when are you open?")
    list("ask5", "test", "I would rather collect the <thing> in person; is that possible?|" \
        "Until what time can the <thing> be picked up at the shop?")

    for (i = 0; i < train; i++) row("train.jsonl", i % 2 ? "tone" : "order", "train")
    for (i = 0; i < 60; i++) row("valid.jsonl", i % 2 ? "tone" : "order", "valid")
    for (i = 0; i < test; i++) { row("test-orders.jsonl", "order", "test"); row("test-tone.jsonl", "tone", "test") }
}'
