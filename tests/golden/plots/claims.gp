# Made by loci plot. To draw it again, in its folder: gnuplot claims.gp
set encoding utf8
set colorsequence podo
set border 3 linecolor rgb '#404040'
set tics nomirror out scale 0.6 textcolor rgb '#202020'
set grid linecolor rgb '#e0e0e0' linewidth 0.5 linetype 1 dashtype 1
set tmargin 2.5
set label 1 'Bar: estimate and interval of the statement that decides. Colours: after Holm'."\047".'s correction over all claims.' at screen 0.02, character 0.9 left font ',10' textcolor rgb '#606060'
set bmargin 5.2
set title 'memory: which claims hold, and by how much?'
set tmargin 2.5
set xlabel 'distance from the margin, each row to its own scale'
set border 1
set grid noxtics noytics
set xtics ('fails' -0.5, 'margin' 0, 'holds' 0.5)
set xrange [-1.1:1.1]
set yrange [4.6:0.5]
set arrow 1 from 0, graph 0 to 0, graph 1 nohead back linecolor rgb '#404040' dashtype 2
set lmargin at screen 0.2231
set rmargin at screen 0.8402
set key at screen 0.8517, graph 1 left top Left reverse samplen 1.5 spacing 1.2 maxcols 1 width -100
set ytics noenhanced scale 0 ('longer (n = 3)' 1, 'equal, after the fact (n = 3)' 2, 'wide (n = 2)' 3, 'size (n = 3)' 4)
set label 2 '3.87 % (3.76 to 3.97)' noenhanced at graph 0.02, first 1.32 left font ',9' textcolor rgb '#404040'
set label 3 'has to be above 1' noenhanced at graph 0.98, first 1.32 right font ',9' textcolor rgb '#404040'
set label 4 '-0.0298 bits/byte (-0.032 to -0.0275)' noenhanced at graph 0.02, first 2.32 left font ',9' textcolor rgb '#404040'
set label 5 'has to be within 0.01' noenhanced at graph 0.98, first 2.32 right font ',9' textcolor rgb '#404040'
set label 6 '0.0506 bits/byte (0.0468 to 0.0544)' noenhanced at graph 0.02, first 3.32 left font ',9' textcolor rgb '#404040'
set label 7 'has to be above 0' noenhanced at graph 0.98, first 3.32 right font ',9' textcolor rgb '#404040'
set label 8 '2 times (2 to 2)' noenhanced at graph 0.02, first 4.32 left font ',9' textcolor rgb '#404040'
set label 9 'has to be at most 2' noenhanced at graph 0.98, first 4.32 right font ',9' textcolor rgb '#404040'
$undecided << EOD
# inside line low high
0.930829753 3 0.861659506 1
EOD
$holds << EOD
# inside line low high
0.964606913 1 0.929004895 1
0 4 0 0
EOD
$fails << EOD
# inside line low high
-0.89810386 2 -1 -0.79620772
EOD
set terminal svg size 875,378 dynamic noenhanced font 'Liberation Sans, Arial, sans-serif,12' background 'white'
set output 'claims.svg'
plot $undecided using 1:2:3:4 with xerrorbars pointtype 5 pointsize 0.9 linewidth 1.8 linecolor rgb '#707070' title 'undecided', \
     $holds using 1:2:3:4 with xerrorbars pointtype 5 pointsize 0.9 linewidth 1.8 linecolor rgb '#0072b2' title 'holds', \
     $fails using 1:2:3:4 with xerrorbars pointtype 5 pointsize 0.9 linewidth 1.8 linecolor rgb '#d55e00' title 'fails'
if (exists('say_map')) print sprintf('map %g %g %g %g %.9g %.9g %.9g %.9g', GPVAL_TERM_XMIN, GPVAL_TERM_XMAX, GPVAL_TERM_YMIN, GPVAL_TERM_YMAX, GPVAL_X_MIN, GPVAL_X_MAX, GPVAL_Y_MIN, GPVAL_Y_MAX)
