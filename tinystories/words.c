/* words: the lexicon of the story world.
 *
 * A class is a rule whose alternatives, between bars, are plain words or phrases, all equally likely. A class never has
 * more than 64 of them, so that no single choice is worth more than 6 bits. A class whose name ends in /she, /he or /they
 * lends that pronoun to the register which holds one of its words. Words that would sound odd in one of the sentences of
 * plots.c have no place in the class which that sentence draws from.
 */
#include "world.h"

const RuleText world_words[] = {
    /* ---- who ---- */
    {"girl/she",
     "Lily|Mia|Anna|Emma|Zoe|Ruby|Clara|Nora|Lucy|Molly|Sara|Ella|Rosie|Ivy|Hazel|Daisy|Maya|Tess|Amy|Lena|Kate|June|Nina|Penny|Polly|"
     "Sally|Wendy|Alice|Holly|Greta|Dora|Bella"},
    {"boy/he",
     "Tom|Ben|Max|Leo|Sam|Jack|Tim|Finn|Noah|Oscar|Henry|Theo|Adam|Luke|Toby|Billy|Oliver|Jacob|Peter|Eric|Hugo|Milo|Owen|Felix|Robin|"
     "Simon|Danny|Carl|Victor|Andy|Freddy|Kevin"},
    {"petshe/she",
     "Coco|Pearl|Willow|Honey|Poppy|Pippa|Fern|Luna|Misty|Maple|Cleo|Dot|Tilly|Bonnie|Minnie|Olive|Peaches|Ginger|Flora|Lulu|Mabel|"
     "Nell|Blossom|Trixie|Dolly|Fifi|Roxy|Suki|Juno|Hattie|Opal|Velvet"},
    {"pethe/he",
     "Pip|Bruno|Rusty|Barney|Bobo|Chester|Dusty|Gus|Hopper|Jasper|Koko|Monty|Nibbles|Otto|Patch|Quincy|Rufus|Scout|Teddy|Waldo|Ziggy|"
     "Bingo|Buster|Duke|Ernie|Fuzzy|Humphrey|Norbert|Sparky|Wally|Boris|Alfie"},
    {"animal",
     "rabbit|fox|bear|mouse|squirrel|hedgehog|owl|duck|frog|turtle|kitten|puppy|pony|lamb|goat|piglet|badger|beaver|otter|mole|raccoon|"
     "deer|penguin|monkey|elephant|lion|tiger|panda|koala|camel|donkey|goose|hamster|parrot|peacock|seal|sparrow|robin|swan|toad|zebra|"
     "giraffe|kangaroo|lizard|hippo|crow|chicken|wolf"},
    {"animals",
     "rabbits|foxes|bears|mice|squirrels|hedgehogs|owls|ducks|frogs|turtles|kittens|puppies|ponies|lambs|goats|piglets|badgers|beavers|"
     "otters|moles|raccoons|chipmunks|penguins|monkeys|pigeons|bees|butterflies|ladybugs|snails|crickets|donkeys|geese|hamsters|parrots|"
     "peacocks|seals|sparrows|robins|swans|toads|ants|beetles|spiders|lizards|worms|crows|chickens|dragonflies"},
    {"job",
     "baker|farmer|doctor|teacher|sailor|painter|gardener|carpenter|cook|captain|postman|fisherman|firefighter|nurse|singer|dancer|"
     "clown|magician|knight|king|queen|prince|princess|pilot|tailor|shoemaker|builder|neighbor|wizard|fairy|giant|pirate"},
    {"famshe/she", "mom|grandma|aunt|sister|big sister|little sister|godmother|nanny"},
    {"famhe/he", "dad|grandpa|uncle|cousin|big brother|little brother|brother|godfather"},
    {"look",
     "little|small|young|kind|brave|curious|clever|gentle|shy|merry|cheerful|happy|friendly|playful|quiet|polite|silly|sleepy|jolly|"
     "lively|helpful|careful|proud|bold|tidy|funny|busy|dreamy|patient|honest|smart|sweet|loyal|lucky|noisy|eager|caring|calm|bright|"
     "thoughtful|generous|modest|nimble|chatty|hopeful|tiny|giggly|restless|neat|witty|strong|tall|fair|daring|sporty|graceful|"
     "spirited|adventurous|humble|sunny|nice|dear|good|gifted"},
    {"most", "kindest|bravest|fastest|smallest|happiest|cleverest|funniest|quietest|busiest|loudest|gentlest|proudest|silliest|calmest|"
             "smartest|neatest"},
    {"wise",
     "wise|old|friendly|kind|tall|round|jolly|cheerful|gentle|helpful|strong|clever|plump|quiet|famous|young|humble|polite|skinny|"
     "sturdy|smiling|sleepy|patient|rosy|grand|mighty|curious|lonely|puzzled|bald|brave|bright|busy|calm|careful|dear|fancy|funny|"
     "good|happy|hardy|honest|lively|loud|merry|modest|neat|noble|odd|proud|quick|rich|serious|shy|silly|simple|smart|stout|sweet|"
     "thin|tidy|tiny|warm|witty"},

    /* ---- where and when ---- */
    {"weather",
     "sunny|bright|warm|cool|breezy|windy|cloudy|crisp|golden|lovely|quiet|fresh|mild|clear|misty|chilly|beautiful|calm|hot|fine|gray|"
     "pleasant|peaceful|glorious|snowy|dry|lazy|busy|perfect|stormy|still|sweet"},
    {"time",
     "morning|afternoon|day|spring morning|summer day|autumn day|winter morning|Sunday|Monday|Saturday|Friday|Tuesday|Wednesday|"
     "Thursday|spring day|evening"},
    {"places",
     "park|garden|beach|forest|meadow|farm|market|river|lake|hill|playground|orchard|barn|pond|harbor|castle|mill|bridge|field|cave|"
     "station|fair|museum|zoo|library|school|bakery|village|square|woods|valley|stream|waterfall|lighthouse|campground|greenhouse|"
     "courtyard|marsh|canyon|dock|shore|windmill|stable|fountain|theater|workshop|cottage|cornfield"},
    {"land",
     "village|valley|town|forest|kingdom|wood|country|city|meadow|jungle|harbor|garden|hamlet|desert|canyon|land"},
    {"landadj", "quiet|green|sunny|faraway|small|hidden|happy|peaceful|snowy|busy|rainy|magical|flowery|cozy|distant|pretty|dusty|foggy|"
                "windy|sleepy|colorful|merry|rocky|leafy"},
    {"near",
     "by the sea|near a forest|on a hill|beside a lake|in the mountains|next to a bakery|behind a mill|under a giant oak|"
     "across from a school|between two rivers|down a long road|above a toy shop|on a farm|by the beach|deep in a valley|in a cave|"
     "near a volcano|on a boat|at the zoo|in a big city|close to a castle|on an island|behind a waterfall|in the jungle"},
    {"house", "house|cottage|cabin|hut|burrow|castle|tent|treehouse|farmhouse|den|tower|houseboat"},
    {"houseadj", "tiny|cozy|wooden|crooked|brick|stone|white|yellow|red|warm|narrow|tidy|round|snug|funny|pink"},
    {"prep",
     "near|under|behind|beside|by|next to|close to|past"},
    {"spot",
     "oak|gate|fence|well|bench|bridge|wall|bush|hedge|rock|log|haystack|mailbox|ladder|doorway|fountain|statue|shed|tent|cart|barrel|"
     "puddle|path|steps|stump|ivy|vines|lamp|swing|slide|sandbox|rosebush|wheelbarrow|scarecrow|beehive|mushroom|arch|reeds|pump|"
     "birdhouse|tower|signpost|stairs|tractor|boat|ferns|campfire|stall"},
    {"trees", "oak|apple|pine|cherry|maple|willow|pear|chestnut|plum|birch|walnut|olive|palm|fig|elm|cedar"},
    {"bag", "bag|pocket|basket|backpack|wagon|cart|purse|lunchbox|suitcase|bucket|pouch|sack"},
    {"went",
     "walked|ran|went|skipped|hurried|strolled|marched|raced|wandered|danced|rushed|headed|hiked|traveled|tiptoed|dashed|hopped|rode|"
     "jogged|trotted|strutted|drove|sneaked|crept|sailed|biked|rolled|bounced|twirled|flew|galloped|sped"},

    /* ---- things ---- */
    {"toy",
     "kite|ball|doll|drum|toy boat|toy train|toy truck|robot|puppet|puzzle|spinning top|whistle|bell|flute|basket|umbrella|lantern|"
     "necklace|crown|mask|rocket|toy plane|flag|guitar|trumpet|teapot|clock|watch|mirror|telescope|camera|paintbrush|music box|"
     "rag doll|sled|wand|wooden sword|toy dragon|toy horse|banjo|model ship|paper lantern|birdhouse|toy car|toy bus|toy castle|violin|"
     "scooter"},
    {"thingadj",
     "red|blue|green|yellow|purple|orange|pink|silver|golden|white|shiny|new|old|tiny|big|little|pretty|special|lovely|striped|"
     "spotted|fancy|bright|painted|magic|funny|beautiful|black|brown|perfect|strange|wonderful|gray|round|plain|rare|tidy|clever|odd|"
     "smooth|splendid|simple|grand|dear|neat|noble|dainty|sparkly"},
    {"color",
     "red|blue|green|yellow|purple|orange|pink|silver|golden|white|black|brown|gray|violet|crimson|turquoise|tan|cream|teal|scarlet|"
     "lilac|copper|ruby|amber"},
    {"cloth",
     "hat|scarf|coat|cap|sweater|jacket|vest|cape|shirt|bow|raincoat|cloak|ribbon|apron|bonnet|belt|helmet|hood|tie|robe|sash|jersey|"
     "poncho|collar|beret|bib|blouse|gown|costume|skirt|shawl|wig"},
    {"foods",
     "apple pie|bread|cheese|cake|honey|soup|pancakes|cookies|berries|nuts|grapes|carrots|noodles|popcorn|muffins|jam|rice|pears|"
     "cherries|peaches|plums|strawberries|toast|pudding|salad|corn|pizza|waffles|peanuts|raisins|buns|butter|beans|potatoes|pumpkin pie|"
     "ice cream|blueberries|bananas|oranges|lemon tarts|crackers|pretzels|sandwiches|dumplings|tomatoes|cupcakes|chocolate|custard|melons|"
     "porridge|turnips|radishes|mushrooms|walnuts|apricots|raspberries|doughnuts|cereal|sausages|gingerbread|candy|almonds|oatmeal|pickles"},
    {"drink",
     "milk|juice|tea|cocoa|lemonade|water|cider|hot chocolate|apple juice|soda|mint tea|ginger ale|coffee|broth|nectar|punch"},
    {"heavy", "pumpkin|melon|cabbage|turnip|potato|snowball|log|barrel|rock|stone|chest|statue|cheese|crate|wheel|trunk"},
    {"huge", "huge|giant|enormous|round|heavy|massive|great big|mighty"},
    {"flowers", "rose|tulip|daisy|lily|sunflower|violet|poppy|daffodil|orchid|pansy|bluebell|lavender|buttercup|marigold|snowdrop|iris|peony|"
               "dandelion|petunia|carnation|hyacinth|clover|primrose|jasmine"},
    {"aadj",
     "small|fat|brown|gray|sleepy|hungry|fluffy|spotted|noisy|shy|playful|busy|tired|muddy|lazy|white|quick|old|funny|happy|clumsy|"
     "striped|furry|cheeky|grumpy|skinny|gentle|thirsty|proud|cute|baby|silly|tall|wet|dizzy|fast|slow|chubby|tame|wild|hairy|bold|"
     "calm|kind|plump|nosy|fuzzy|dusty|brave|jolly|merry|sweet|shaggy|sly|tiny|young|quiet|clean|messy|smart|fancy|pale|strong|mean"},
    {"doing",
     "sleeping|singing|dancing|resting|hiding|playing|digging|eating|drinking|laughing|snoring|yawning|sniffing|stretching|chatting|"
     "running|jumping|waiting|sitting|washing|giggling|marching|rolling|nibbling|humming|whistling|sneezing|wiggling|smiling|reading|"
     "cooking|painting|splashing|climbing|crying|grinning|hopping|juggling|leaping|napping|racing|shouting|spinning|staring|counting|"
     "strolling|swinging|twirling"},
    {"smell",
     "roses|bread|pine|honey|rain|cinnamon|grass|apples|lavender|smoke|mint|leaves|lemons|vanilla|salt|hay|ginger|moss|berries|"
     "flowers|toast|oranges|butter|sunshine|soap|cedar|cocoa|peaches|popcorn|clover|cider|pepper"},
    {"toolword", "stick|ladder|rope|net|broom|pole|hook|rake|hammer|shovel|saw|brush|needle|bucket|string|spoon|hose|lever|paddle|board|wheel|"
             "ribbon|blanket|magnifying glass|mop|sponge|chain|pulley|crowbar|screwdriver|bandage|towel"},
    {"tooladj",
     "long|strong|sturdy|rusty|wooden|clean|big|thin|heavy|handy|simple|sharp|soft|crooked|borrowed|trusty|plain|short|flat|bent|dry|"
     "good|hard|light|stiff|thick|tough|wide|worn|spare|huge|smooth"},
    {"noiseword", "noise|bang|howl|scratch|thump|growl|squeak|crash|rumble|hiss|whisper|knock|roar|splash|buzz|moan"},
    {"loud", "loud|strange|scary|sudden|deep|spooky|odd|terrible|low|creepy|mysterious|sharp"},
    {"trapped", "in a net|in the mud|under a log|in a thorn bush|in a hole|between two rocks|in a fence|under a bucket|in a tangle of rope|in "
             "the wire|in a deep ditch|in a spider web"},
    {"contests", "race|dance contest|spelling bee|singing contest|baking contest|treasure hunt|sack race|swimming race|kite contest|drawing "
                "contest|talent show|puzzle contest"},
    {"buildings", "fort|castle|tower|bridge|house|snowman|boat|raft|treehouse|wall|tunnel|tent|wagon|ship|nest|dam"},
    {"material", "sand|wood|stones|mud|sticks|boxes|pillows|blankets|clay|straw|leaves|bricks|cardboard|branches|snow|logs"},
    {"boxword",
     "box|chest|trunk|crate|toolbox|drawer|cupboard|jar|suitcase|treasure chest|lunchbox|cage|bag|pot|barrel|case"},
    {"crafts", "card|painting|necklace|cake|scarf|crown|basket|picture|pillow|bracelet|vase|poem|candle|quilt|mobile|bookmark"},
    {"stand", "table|shelf|cart|chair|basket|tray|stool|counter|barrel|bench|wagon|desk"},

    /* ---- what they do ---- */
    {"activity",
     "play in the sand|climb trees|pick flowers|sing songs|paint pictures|read books|bake cookies|chase butterflies|splash in puddles|"
     "jump over logs|collect shells|count stars|dance in the rain|draw maps|fly kites|build towers|feed the birds|plant seeds|"
     "roll down hills|tell jokes|ride a scooter|watch the clouds|make mud pies|blow bubbles|swing on ropes|skip stones|whistle tunes|"
     "play hide and seek|help in the kitchen|water the plants|catch falling leaves|listen to stories|race the wind|slide on the ice|"
     "fold paper boats|dig tunnels|gather acorns|hunt for treasure|draw with chalk|play the flute|wear funny hats|write letters|"
     "visit neighbors|taste new jams|solve riddles|wave at trains|stack blocks|explore caves"},
    {"skills", "swim|ride a bike|dance|juggle|read|skate|sail|climb a rope|knit|paint|spell|tie a bow|do a cartwheel|play the violin|stand on one "
              "leg|jump rope|catch a ball|row|sing|write|bake bread|ski|whistle|throw far|walk on stilts|tell time|do magic tricks|play "
              "chess|do a handstand|blow a horn|weave|surf"},
    {"said",
     "said|cried|sighed|whispered|shouted|sobbed|mumbled|sniffed|moaned|called|wept|sniffled|whimpered|groaned|muttered|murmured"},
    {"smiled",
     "smiled|nodded|laughed|grinned|winked|giggled|bowed|chuckled|waved|clapped|hummed|beamed|cheered|blinked|agreed|shrugged|"
     "thought hard|stood up|jumped|yawned|whistled|sniffed|saluted|bounced|listened|knelt down|stretched|blushed|sang|hopped|"
     "turned around|took a breath"},
    {"sad",
     "sad|worried|upset|unhappy|gloomy|lonely|sorry|miserable|scared|helpless|troubled|lost|hopeless|nervous|afraid|tearful|puzzled|"
     "frustrated|heartbroken|disappointed|weak|confused|small|dreadful|tired|grumpy|blue|cross|shaky|moody|awful|uneasy"},
    {"happy",
     "happy|proud|glad|excited|joyful|cheerful|pleased|thankful|delighted|relieved|merry|amazed|thrilled|grateful|lucky|surprised|"
     "brave|strong|peaceful|hopeful|calm|warm|safe|jolly|content|bold|light|lively|eager|important|clever|sunny"},
    {"joy",
     "danced|clapped|cheered|sang|jumped|twirled|hopped|spun around|laughed|bounced|whistled|hummed|smiled|grinned|giggled|skipped|"
     "blushed|waved|nodded|bowed|leaped|wiggled|beamed|cried for joy|rolled on the ground|did a cartwheel|gave a shout|"
     "could not stop smiling|did a little dance|threw up both arms|glowed|shouted hooray"},
    {"how",
     "slowly|carefully|quickly|gently|bravely|quietly|happily|softly|eagerly|calmly|proudly|patiently|cheerfully|steadily|boldly|"
     "kindly|neatly|cleverly|swiftly|smoothly|merrily|politely|wisely|tenderly|gladly|busily|briskly|warmly|firmly|lightly|sweetly|"
     "nimbly"},
    {"sadly",
     "sadly|quietly|softly|slowly|shyly|weakly|unhappily|nervously|gloomily|tearfully|anxiously|faintly|meekly|hoarsely|tiredly|"
     "hopelessly|glumly|bitterly|fearfully|timidly|miserably|wearily|loudly|wildly|desperately|grimly|gravely|seriously|crossly|"
     "angrily|honestly|helplessly"},
    {"hard",
     "hard|tricky|difficult|scary|slow|tiring|confusing|dangerous|dull|complicated|painful|boring|rough|messy|risky|strange"},
    {"songs", "song|tune|rhyme|lullaby|melody|poem|march|ballad"},
    {"lesson",
     "sharing is fun|friends are precious|kindness comes back|practice helps|nobody is too little|asking for help is smart|"
     "good things take time|mistakes are fine|manners matter|patience wins|giving feels good|fear gets smaller|a promise is a promise|"
     "listening is wise|love is strong|truth is best|two heads are better than one|laughter heals|every problem has an answer|"
     "even strong people need help|home is best|a smile opens doors|new friends are everywhere|trying again pays off|"
     "little helpers count|courage grows|saying sorry helps|slow and steady works|dreams come true|hope never sleeps|"
     "small gifts are big|teamwork is magic"},
    {"number", "two|three|four|five|six|seven|eight|nine"},
    {"spotadj",
     "old|big|tall|red|small|green|wet|dry|broken|wooden|stone|white|round|dark|blue|mossy|dusty|crooked|yellow|gray|tiny|huge|rusty|"
     "sunny|shady|muddy|pretty|empty|hidden|long|short|narrow|wide|thick|thin|bent|steep|little|new|orange|purple|pink|black|brown|"
     "funny|leafy|quiet|cold|warm|bright|shiny|clean|dirty|painted|fancy|plain|lovely|famous|ancient|grand|lonely|smooth|rough|noisy"},
    {"fadj",
     "warm|sweet|fresh|tasty|salty|cold|hot|soft|crunchy|yummy|spicy|sour|creamy|tender|juicy|plain|ripe|rich|sticky|crispy|homemade|"
     "golden|mild|tangy|frozen|fluffy|buttery|chewy|smoked|dried|toasted|leftover"},
    {"gladly",
     "said|cried|called|cheered|shouted|laughed|sang|exclaimed|beamed|giggled|whispered|announced|declared|chirped|squealed|yelled"},
    {NULL, NULL},
};
